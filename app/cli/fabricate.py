"""The options of `usher trigger` that describe the webhook."""

from __future__ import annotations

import secrets
import string
from typing import Annotated

import typer

from app.clock import SystemClock
from app.errors import InvalidInputError, Problem, nearest
from app.livekit.fabricated_webhook import FABRICATED_TYPES, FabricatedWebhook
from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind

_ALPHABET = string.ascii_letters + string.digits


def fabricated_webhook(
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help=", ".join(FABRICATED_TYPES))
    ] = EventType.PARTICIPANT_JOINED.value,
    *,
    identity: Annotated[str | None, typer.Option("--identity", help="of the participant (default: made up)")] = None,
    name: Annotated[str, typer.Option("--name", help="of the participant, for display")] = "",
    room: Annotated[str | None, typer.Option("--room", help="name of the room (default: made up)")] = None,
    metadata: Annotated[str, typer.Option("--metadata", metavar="TEXT", help="of the participant; JSON or not")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", metavar="KEY=VALUE", help="of the participant; repeatable")
    ] = None,
    room_metadata: Annotated[str, typer.Option("--room-metadata", metavar="TEXT", help="of the room")] = "",
    kind: Annotated[str, typer.Option("--kind", help=", ".join(ParticipantKind))] = ParticipantKind.STANDARD.value,
    sip: Annotated[bool, typer.Option("--sip", help="a phone call: kind SIP, with LiveKit's sip.* attributes")] = False,
    to: Annotated[str | None, typer.Option("--to", metavar="NUMBER", help="the number that was dialled")] = None,
    outbound: Annotated[
        bool, typer.Option("--outbound", help="a phone that LiveKit dials: --to is called, --from is our own number")
    ] = False,
    from_: Annotated[str | None, typer.Option("--from", metavar="NUMBER", help="the caller's number")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="kind AGENT: this agent joins or leaves")] = None,
    reason: Annotated[str, typer.Option("--reason", help="why it left, such as CLIENT_INITIATED")] = "",
    sid: Annotated[str | None, typer.Option("--sid", help="of the participant (default: a new one)")] = None,
    room_sid: Annotated[str | None, typer.Option("--room-sid", help="of the room session (default: a new one)")] = None,
) -> FabricatedWebhook:
    """Return the webhook that the options describe; raises InvalidInputError with every problem."""
    problems = [
        Problem(option, f"{number!r} is no phone number: it has no digit; write 'anonymous' for one that is withheld")
        for option, number in (("--from", from_), ("--to", to))
        if number and number != "anonymous" and not any(one.isdecimal() for one in number)
    ]
    phone = None
    if outbound:
        phone = _dialled(to, from_)
    elif sip or to or from_ or kind == ParticipantKind.SIP:
        phone = _phone_call(to, from_)
    kind, implied = _implied_by(kind, phone, agent)
    attributes = implied | _read_attributes(attribute or [], problems)
    _check_names(event, kind, reason, problems)
    if problems:
        raise InvalidInputError("usage", problems)
    return FabricatedWebhook(
        event=event,
        event_id=f"EV_{_letters()}",
        at=SystemClock().now(),
        room_name=room or _room_name(kind, to if outbound else from_),
        room_sid=room_sid or f"RM_{_letters()}",
        room_metadata=room_metadata,
        identity=identity or _identity(kind, to if outbound else from_),
        sid=sid or f"PA_{_letters()}",
        name=name,
        kind=kind,
        metadata=metadata,
        attributes=attributes,
        disconnect_reason=reason,
    )


def _implied_by(kind: str, phone: dict[str, str] | None, agent: str | None) -> tuple[str, dict[str, str]]:
    """Return the kind and the attributes that follow from the phone call and `--agent`."""
    attributes: dict[str, str] = {}
    if phone is not None:
        kind = ParticipantKind.SIP
        attributes |= phone
    if agent:
        kind = ParticipantKind.AGENT
        attributes["lk.agent_name"] = agent
    return kind, attributes


def _read_attributes(given: list[str], problems: list[Problem]) -> dict[str, str]:
    attributes = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            problems.append(Problem("--attribute", f"{one!r} is not KEY=VALUE"))
        attributes[key] = value
    return attributes


def _phone_call(to: str | None, from_: str | None) -> dict[str, str]:
    attributes = {
        "sip.callID": f"SCL_{_letters()}",
        "sip.callStatus": "ringing",
        "sip.trunkID": f"ST_{_letters()}",
        "sip.ruleID": f"SDR_{_letters()}",
    }
    if to:
        attributes["sip.trunkPhoneNumber"] = to
    if from_:
        attributes["sip.phoneNumber"] = from_
    return attributes


def _dialled(to: str | None, from_: str | None) -> dict[str, str]:
    """Return the attributes of a phone that LiveKit dials: no dispatch rule, and the far end is who is called."""
    attributes = _phone_call(from_, to)
    del attributes["sip.ruleID"]
    return {**attributes, "sip.callStatus": "dialing"}


def _check_names(event: str, kind: str, reason: str, problems: list[Problem]) -> None:
    for name, value, allowed in (
        ("EVENT", event, FABRICATED_TYPES),
        ("--kind", kind, tuple(ParticipantKind)),
        ("--reason", reason, ("", *DisconnectReason)),
    ):
        if value not in allowed:
            known = [str(one) for one in allowed if one]
            message = f"{value!r} is none of {', '.join(known)}"
            problems.append(Problem(name, message, value, nearest(value, known) or nearest(value.upper(), known)))


def _room_name(kind: str, from_: str | None) -> str:
    return f"call-_{from_ or 'anonymous'}_{_letters()}" if kind == ParticipantKind.SIP else f"room-{_letters(6)}"


def _identity(kind: str, from_: str | None) -> str:
    if kind == ParticipantKind.SIP:
        return f"sip_{from_ or 'anonymous'}"
    return f"agent-AJ_{_letters()}" if kind == ParticipantKind.AGENT else f"caller-{_letters(6)}"


def _letters(count: int = 12) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
