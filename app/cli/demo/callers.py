"""The callers of the demo, and the agents that they should get."""

from __future__ import annotations

from dataclasses import dataclass

from app.livekit.vocabulary import ParticipantKind
from app.simulator import Simulator

WORKERS = ("support-agent", "sales-agent", "phone-agent", "reception-agent")
"""Agents that run. Those of the rules `billing` and `invoices` do not."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the demo. `expected` is the agent that should join; None: no agent is running for it."""

    name: str
    identity: str
    room: str
    expected: str | None
    metadata: str = ""
    kind: ParticipantKind = ParticipantKind.STANDARD
    attributes: tuple[tuple[str, str], ...] = ()


CALLERS = (
    Caller("web, Spanish, support", "ana", "support-7f3a", "support-agent", '{"department":"support","language":"es"}'),
    Caller("web, English, sales", "ben", "sales-19c2", "sales-agent", '{"department":"sales","language":"en"}'),
    Caller("web, text metadata", "chloe", "lobby", "reception-agent", "just looking around"),
    Caller(
        "phone",
        "sip_+34600111222",
        "call-_+34600111222_xVA4",
        "phone-agent",
        kind=ParticipantKind.SIP,
        attributes=(
            ("sip.phoneNumber", "+34600111222"),
            ("sip.trunkPhoneNumber", "+15557654321"),
            ("sip.callStatus", "ringing"),
            ("sip.ruleID", "SDR_8XAAgaFPWQnZ"),
        ),
    ),
    Caller("web, no agent at all", "eve", "invoices-881", None, '{"department":"invoices"}'),
    Caller("web, agent is away", "dora", "billing-4410", "reception-agent", '{"department":"billing"}'),
)


def join(simulator: Simulator, caller: Caller) -> None:
    """Let a caller join its room."""
    simulator.join(
        caller.room,
        caller.identity,
        kind=caller.kind,
        name=caller.name,
        metadata=caller.metadata,
        attributes=dict(caller.attributes),
    )
