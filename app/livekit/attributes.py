"""Participant attributes that LiveKit sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

AGENT_NAME_ATTRIBUTES: Final = ("lk.agent_name", "lk.agent.name")
"""Where an agent's name is: set by the server, and by the agents SDKs."""

SIP_ATTRIBUTES: Final = (
    "sip.callID",
    "sip.callIDFull",
    "sip.callStatus",
    "sip.callTag",
    "sip.hostname",
    "sip.phoneNumber",
    "sip.ruleID",
    "sip.trunkID",
    "sip.trunkPhoneNumber",
)
"""Those that livekit-sip sets on phone callers, besides one per SIP header that the trunk maps (`sip.h.*`)."""

CALL_STATUS: Final = "sip.callStatus"
"""`dialing`, `ringing`, `active`, `hangup`: it changes during every phone call."""

PHONE_NUMBER: Final = "sip.phoneNumber"
"""The number at the far end: of the caller, or of the callee on a leg that LiveKit dialled."""

TRUNK_NUMBER: Final = "sip.trunkPhoneNumber"
"""Our own number, whoever called whom."""

TRUNK_ID: Final = "sip.trunkID"

SIP_RULE_ID: Final = "sip.ruleID"
"""The SIP dispatch rule that took the call: calls that LiveKit dialled have none."""

DIRECTION_ATTRIBUTES: Final = ("sip.callDirection", "sip.direction", "direction")
"""Where applications that dial write the direction of a phone call; LiveKit itself sets no such attribute."""

OUTBOUND_VALUES: Final = frozenset({"outbound", "outgoing"})

PUBLISHES_ON_BEHALF: Final = "lk.publish_on_behalf"
"""On an avatar: the identity of its agent."""

SIMULATOR: Final = "lk.simulator"
"""On the callers of `lk agent simulate`."""

ANNOUNCED_STATE: Final = "usher.state"
ANNOUNCED_POSITION: Final = "usher.position"
ANNOUNCED_WAIT: Final = "usher.expected_wait_s"
ANNOUNCED: Final = (ANNOUNCED_STATE, ANNOUNCED_POSITION, ANNOUNCED_WAIT)
"""Those that Usher sets on callers whose rule says `announce`."""


def agent_name_of(attributes: Mapping[str, Any]) -> str:
    """Return the agent name in a participant's attributes; empty if there is none."""
    for name in AGENT_NAME_ATTRIBUTES:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return ""
