"""What a participant is in a room: one function, for the participants of webhooks and of LiveKit's lists alike.

The kind alone does not say it: an agent, a recorder and a supervisor may all have kind STANDARD, a phone that was
dialled has kind SIP like one that called, and an avatar has kind AGENT.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final

from app.livekit.attributes import (
    DIRECTION_ATTRIBUTES,
    OUTBOUND_VALUES,
    PUBLISHES_ON_BEHALF,
    SIMULATOR,
    SIP_RULE_ID,
)
from app.livekit.vocabulary import EventType, ParticipantKind


class Role(StrEnum):
    """`participant.role` in the document that rules match."""

    CALLER = "caller"  # whoever is none of the following: the people whom agents are dispatched for
    AGENT = "agent"  # kind AGENT, or the grant `agent`, whatever its kind
    AVATAR = "avatar"  # publishes on behalf of an agent
    EGRESS = "egress"
    INGRESS = "ingress"
    RECORDER = "recorder"  # the grant `recorder`
    SUPERVISOR = "supervisor"  # the grant `hidden`
    FORWARDED = "forwarded"  # a copy of a participant of another room
    SIMULATOR = "simulator"  # plays a caller in a test run of an agent
    CALLEE = "callee"  # a phone that was dialled


ROLE_OF_KIND: Final[Mapping[str, Role]] = {
    ParticipantKind.AGENT.value: Role.AGENT,
    ParticipantKind.EGRESS.value: Role.EGRESS,
    ParticipantKind.INGRESS.value: Role.INGRESS,
}
"""Roles that follow from the kind itself. A kind that is not known is a caller's, so that nobody is left out."""

CALLER_ROLES: Final = (Role.CALLER, Role.CALLEE)
"""Roles of people that an agent talks to: who called, and who was called."""

PROGRAMS: Final = frozenset({Role.AGENT, Role.AVATAR, Role.EGRESS, Role.INGRESS, Role.RECORDER})
"""Roles of programs: never swept in, whatever the rules name."""

UNCOUNTED: Final = frozenset({Role.AGENT, Role.AVATAR, Role.EGRESS, Role.RECORDER, Role.SUPERVISOR})
"""Roles that LiveKit leaves out of a room's `numParticipants`."""

PHONE_KINDS: Final = frozenset({ParticipantKind.SIP, ParticipantKind.CONNECTOR})
TRACK_EVENTS: Final = frozenset({EventType.TRACK_PUBLISHED, EventType.TRACK_UNPUBLISHED})
_NOT_TRIMMED: Final = ("state", "kind", "permission", "joinedAt")
_NOTHING: Final[Mapping[str, Any]] = {}


def decide_role(
    kind: str, *, grants: Mapping[str, Any], details: Collection[str], attributes: Mapping[str, Any]
) -> Role:
    """Return the role of a participant.

    `kind` and `details` (`kindDetails`) are names, or numbers as text where the name is not known; `grants` is
    `permission`, of which `agent`, `recorder` and `hidden` count.
    """
    if attributes and attributes.get(PUBLISHES_ON_BEHALF):
        return Role.AVATAR
    if grants.get("agent") is True:
        return Role.AGENT
    by_kind = ROLE_OF_KIND.get(kind)
    if by_kind is not None:
        return by_kind
    if grants.get("recorder") is True:
        return Role.RECORDER
    if grants.get("hidden") is True:
        return Role.SUPERVISOR
    if details:
        if "FORWARDED" in details:
            return Role.FORWARDED
        if "SIMULATION" in details:
            return Role.SIMULATOR
    if attributes and attributes.get(SIMULATOR) is not None:
        return Role.SIMULATOR
    if kind in PHONE_KINDS and was_dialled(kind, attributes):
        return Role.CALLEE
    return Role.CALLER


def role_in_webhook(participant: Mapping[str, Any]) -> Role:
    """Return the role of a participant of a prepared webhook; fields of a wrong type count as left out."""
    kind, details = participant.get("kind"), participant.get("kindDetails")
    grants, attributes = participant.get("permission"), participant.get("attributes")
    return decide_role(
        kind if type(kind) is str else ParticipantKind.STANDARD,
        grants=grants if type(grants) is dict else _NOTHING,
        details=details if type(details) is list else (),
        attributes=attributes if type(attributes) is dict else _NOTHING,
    )


def is_trimmed(event_type: str, participant: Mapping[str, Any]) -> bool:
    """Return whether the webhook names the participant only, as LiveKit does when tracks are published.

    Its kind and the rest are then unknown rather than LiveKit's defaults.
    """
    return event_type in TRACK_EVENTS and not any(name in participant for name in _NOT_TRIMMED)


def was_dialled(kind: str, attributes: Mapping[str, Any]) -> bool:
    """Return whether a phone call goes from us to the participant: by its attribute, else by the SIP dispatch rule."""
    for name in DIRECTION_ATTRIBUTES:
        direction = attributes.get(name)
        if isinstance(direction, str) and direction:
            return direction.casefold() in OUTBOUND_VALUES
    return kind == ParticipantKind.SIP and not attributes.get(SIP_RULE_ID)
