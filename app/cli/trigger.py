"""`usher trigger`: a webhook made by hand, signed, and posted to a running Usher."""

from __future__ import annotations

import asyncio
import json
import secrets
import string
import warnings
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import typer
from jwt.warnings import InsecureKeyLengthWarning

from app.cli.options import JsonOption
from app.cli.terminal import note, say, say_json
from app.clock import SystemClock
from app.errors import InvalidInputError, Problem, UsherError, nearest
from app.livekit.fabricated_webhook import FABRICATED_TYPES, FabricatedWebhook, sign
from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from app.settings import Project, Settings, read_settings

_PATH = "/livekit/webhook"
_JOINED = EventType.PARTICIPANT_JOINED.value
_ALPHABET = string.ascii_letters + string.digits


class NotRunningError(UsherError):
    """No Usher answers at the address."""

    status = 503


def trigger(
    event: Annotated[str, typer.Argument(metavar="EVENT", help=", ".join(FABRICATED_TYPES))] = _JOINED,
    *,
    identity: Annotated[str | None, typer.Option("--identity", help="of the participant [default: made up]")] = None,
    name: Annotated[str, typer.Option("--name", help="of the participant, for display")] = "",
    room: Annotated[str | None, typer.Option("--room", help="name of the room [default: made up]")] = None,
    metadata: Annotated[str, typer.Option("--metadata", metavar="TEXT", help="of the participant; JSON or not")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", metavar="KEY=VALUE", help="of the participant; repeatable")
    ] = None,
    room_metadata: Annotated[str, typer.Option("--room-metadata", metavar="TEXT", help="of the room")] = "",
    kind: Annotated[str, typer.Option("--kind", help=", ".join(ParticipantKind))] = ParticipantKind.STANDARD.value,
    sip: Annotated[bool, typer.Option("--sip", help="a phone call: kind SIP, with LiveKit's sip.* attributes")] = False,
    to: Annotated[str | None, typer.Option("--to", metavar="NUMBER", help="the number that was dialled")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="NUMBER", help="the caller's number")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="kind AGENT: this agent joins or leaves")] = None,
    reason: Annotated[str, typer.Option("--reason", help="why it left, such as CLIENT_INITIATED")] = "",
    sid: Annotated[str | None, typer.Option("--sid", help="of the participant [default: a new one]")] = None,
    room_sid: Annotated[str | None, typer.Option("--room-sid", help="of the room session [default: a new one]")] = None,
    url: Annotated[str | None, typer.Option("--url", help="where Usher runs [default: USHER_HOST, USHER_PORT]")] = None,
    project: Annotated[str | None, typer.Option("--project", help="sign as this LiveKit project")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="sign with LiveKit's --dev key")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the body, send nothing")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make up a webhook, sign it with the configured key, post it to a running Usher and print the answer.

    The room and the participant are made up, too: an agent that a rule sends comes to a room without a caller.
    Exit 1 when Usher does not accept it.
    """
    problems: list[Problem] = []
    attributes = _attributes(attribute or [], problems)
    if sip or to or from_:
        kind = ParticipantKind.SIP
        attributes = {**_phone_call(to, from_), **attributes}
    if agent:
        kind = ParticipantKind.AGENT
        attributes = {"lk.agent_name": agent, **attributes}
    _check_names(event, kind, reason, problems)
    if problems:
        raise InvalidInputError("usage", problems)
    who = identity or _identity(kind, from_)
    webhook = FabricatedWebhook(
        event=event,
        event_id=f"EV_{_letters()}",
        at=SystemClock().now(),
        room_name=room or _room_name(kind, from_),
        room_sid=room_sid or f"RM_{_letters()}",
        room_metadata=room_metadata,
        identity=who,
        sid=sid or f"PA_{_letters()}",
        name=name,
        kind=kind,
        metadata=metadata,
        attributes=attributes,
        disconnect_reason=reason,
    )
    body = webhook.body()
    if dry_run:
        say_json(json.loads(body))
        return
    settings = read_settings(development=dev)
    key = _project(settings, project)
    address = _address(url, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # LiveKit's own development secret
        token = sign(body, key.api_key, key.api_secret.get_secret_value())
    status, answer = asyncio.run(_post(address, body, token))
    if as_json:
        say_json({"status": status, "answer": _json(answer), "event": json.loads(body)})
    else:
        say(f"{status} {answer.strip()}")
        if event == _JOINED and status == 200:
            note(f"To let it leave: usher trigger participant_left --identity '{who}' --sid {webhook.sid} "
                 f"--room '{webhook.room_name}' --room-sid {webhook.room_sid}")  # fmt: skip
    if status != 200:
        raise typer.Exit(1)


def _attributes(given: list[str], problems: list[Problem]) -> dict[str, str]:
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


def _project(settings: Settings, name: str | None) -> Project:
    if name is None:
        return settings.projects[0]
    for project in settings.projects:
        if project.name == name:
            return project
    names = ", ".join(project.name for project in settings.projects)
    raise InvalidInputError("usage", [Problem("--project", f"{name!r} is not configured; there is {names}", name)])


def _address(url: str | None, settings: Settings) -> str:
    if url is None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - what it listens on
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}{_PATH}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        problem = Problem("--url", "is not a URL such as http://127.0.0.1:8080", url)
        raise InvalidInputError("usage", [problem])
    return url if parts.path.strip("/") else url.rstrip("/") + _PATH


async def _post(address: str, body: bytes, token: str) -> tuple[int, str]:
    headers = {"Content-Type": "application/webhook+json", "Authorization": token}
    timeout = aiohttp.ClientTimeout(total=30)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(address, data=body, headers=headers) as response,
        ):
            return response.status, await response.text(errors="replace")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        cause = str(error) or "no answer within 30 s"
        raise NotRunningError(f"no Usher answers at {address}: {cause}; start it with: usher serve") from error


def _json(answer: str) -> object:
    try:
        return json.loads(answer)
    except ValueError:
        return answer
