"""`usher call`: a test call through a real room, from the webhook to the agent that joins."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from app.audit import DispatchFilter, DispatchSummary, find_event, newest_dispatches
from app.cli.fabricate import fabricated_webhook
from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption, choosing
from app.cli.framework.terminal import note, plain, say_json, show
from app.cli.trigger import Destination, destination, post_webhook, project_named, webhook_address
from app.clock import SystemClock
from app.db.types import DispatchStatus, EventOutcome
from app.errors import ConflictError, NotFoundError, UsherError
from app.livekit.fabricated_webhook import FabricatedWebhook
from app.livekit.twirp import LiveKitApi
from app.livekit.vocabulary import DisconnectReason, EventType
from app.logs import configure_logs
from app.metrics import Metrics
from app.outbox.states import WAITING
from app.settings import Project, Settings

ROOM_PREFIX = "usher-call-"
TIMEOUT_S = 30.0
_POLL_S = 0.1
_HANGS_UP_WITHIN_S = 10.0
_TAKEN_FOR_ABSENT_S = 1.0
"""A call cancelled sooner was not hung up by us: LiveKit was asked for its caller, and does not list a placeholder."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came of a test call: its dispatches, or why there is none."""

    room_name: str
    identity: str
    event_id: str
    problem: str
    dispatches: tuple[DispatchSummary, ...]

    @property
    def is_answered(self) -> bool:
        """Whether there is an agent for each dispatch."""
        return bool(self.dispatches) and all(one.joined_at is not None for one in self.dispatches)

    def to_json(self) -> dict[str, Any]:
        return {
            "room": self.room_name,
            "identity": self.identity,
            "event": self.event_id,
            "answered": self.is_answered,
            "problem": self.problem,
            "dispatches": [
                {
                    "id": one.id,
                    "rule": one.rule_name,
                    "agent_name": one.agent_asked,
                    "status": one.status,
                    "milliseconds_to_agent": _milliseconds(one),
                    "reason": _reason(one),
                }
                for one in self.dispatches
            ],
        }


def trial_caller(
    *,
    identity: Annotated[str | None, typer.Option("--identity", help="of the caller (default: made up)")] = None,
    name: Annotated[str, typer.Option("--name", help="of the caller, for display")] = "",
    room: Annotated[str | None, typer.Option("--room", help="name of a new room (default: made up)")] = None,
    metadata: Annotated[str, typer.Option("--metadata", metavar="TEXT", help="of the caller; JSON or not")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", metavar="KEY=VALUE", help="of the caller; repeatable")
    ] = None,
    sip: Annotated[bool, typer.Option("--sip", help="a phone call: kind SIP, with LiveKit's sip.* attributes")] = False,
    to: Annotated[str | None, typer.Option("--to", metavar="NUMBER", help="the number that was dialled")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="NUMBER", help="the caller's number")] = None,
) -> FabricatedWebhook:
    """Return the join of the caller that the options describe."""
    made = fabricated_webhook(
        identity=identity, name=name, room=room, metadata=metadata, attribute=attribute, sip=sip, to=to, from_=from_
    )
    return made if room else dataclasses.replace(made, room_name=f"{ROOM_PREFIX}{made.room_name}")


@choosing(destination)
@choosing(trial_caller)
def call(
    join: FabricatedWebhook,
    target: Destination,
    *,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, max=600, help="how long to wait for the agent")
    ] = TIMEOUT_S,
    as_json: JsonOption = False,
) -> None:
    """Call for a test: make a room at LiveKit, announce a caller in it, and say which agent joins, after how long.

    The caller is a placeholder: Usher gets the signed webhook of its join. The agent really joins, and hears silence.
    The room is removed at the end. Exit 1 if no agent joins.
    """
    configure_logs("console", quiet=True)
    settings = target.settings()
    project = project_named(settings, target.project)
    with reading(settings) as connection, Console(stderr=True).status("waiting for the agent"):
        result = asyncio.run(_call(_Line(settings, project, target.url), join, connection, timeout))
    if as_json:
        say_json(result.to_json())
    else:
        _show(result)
    if not result.is_answered:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Line:
    """Where webhooks are posted, and with which key they are signed."""

    settings: Settings
    project: Project
    url: str | None

    async def post(self, webhook: FabricatedWebhook) -> tuple[int, str]:
        return await post_webhook(webhook_address(self.url, self.settings), webhook.body(), self.project)


async def _call(line: _Line, join: FabricatedWebhook, connection: Connection, timeout_s: float) -> CallResult:
    client = LiveKitApi(line.project, line.settings.request_timeout, Metrics(), SystemClock())
    try:
        if await client.find_room(join.room_name) is not None:
            raise ConflictError(f"there is a room {join.room_name!r} already; a test call needs one of its own")
        join = dataclasses.replace(join, room_sid=await client.create_room(join.room_name))
        try:
            return await _outcome(line, join, connection, timeout_s)
        finally:
            await _hang_up(line, join, client)
    finally:
        await client.close()


async def _outcome(line: _Line, join: FabricatedWebhook, connection: Connection, timeout_s: float) -> CallResult:
    status, answer = await line.post(join)
    if status != 200:
        return _result(join, "", f"Usher refuses the webhook: {status} {answer.strip()[:200]}; run: usher doctor")
    clock = SystemClock()
    deadline = clock.monotonic() + timeout_s
    while True:
        with _fresh(connection):
            event_id, outcome = _event(connection, join)
            chosen = DispatchFilter(project=line.project.name, room=join.room_name)
            found = tuple(one for one in newest_dispatches(connection, chosen) if one.room_sid == join.room_sid)
        if outcome in {EventOutcome.NO_MATCH, EventOutcome.IGNORED}:
            return _result(join, event_id, "no rule matches this caller")
        if found and not any(one.status in WAITING for one in found):
            return _result(join, event_id, "", found)
        if clock.monotonic() >= deadline:
            return _result(join, event_id, f"it was given up after {timeout_s:g} s", found)
        await asyncio.sleep(_POLL_S)


def _result(
    join: FabricatedWebhook, event_id: str, problem: str, dispatches: tuple[DispatchSummary, ...] = ()
) -> CallResult:
    return CallResult(join.room_name, join.identity, event_id, problem, dispatches)


def _event(connection: Connection, join: FabricatedWebhook) -> tuple[str, EventOutcome | None]:
    try:
        event = find_event(connection, join.event_id)
    except NotFoundError:  # Usher writes into another database
        return "", None
    return event.id, event.outcome


@contextlib.contextmanager
def _fresh(connection: Connection) -> Iterator[None]:
    """Read in a transaction of its own, so that the next one sees what was committed meanwhile."""
    try:
        yield
    finally:
        connection.rollback()


async def _hang_up(line: _Line, join: FabricatedWebhook, client: LiveKitApi) -> None:
    """Let the caller leave and remove the room, whatever has happened."""
    left = dataclasses.replace(
        join,
        event=EventType.PARTICIPANT_LEFT,
        event_id=f"{join.event_id}L",
        at=SystemClock().now(),
        disconnect_reason=DisconnectReason.CLIENT_INITIATED,
    )
    with contextlib.suppress(UsherError, TimeoutError):
        async with asyncio.timeout(_HANGS_UP_WITHIN_S):
            await line.post(left)
    with contextlib.suppress(UsherError):  # LiveKit closes the room once the agent has left
        await client.delete_room(join.room_name)


def _milliseconds(one: DispatchSummary) -> int | None:
    return None if one.seconds_to_agent is None else round(one.seconds_to_agent * 1000)


def _reason(one: DispatchSummary) -> str:
    """Return why no agent joined; a placeholder is not in LiveKit's lists, so Usher takes it for a caller who left."""
    if one.joined_at is not None or one.status not in {DispatchStatus.CANCELLED, DispatchStatus.NO_SHOW}:
        return one.reason or one.status
    waited = ((one.ended_at or one.created_at) - one.created_at).total_seconds()
    if one.status is DispatchStatus.CANCELLED and waited < _TAKEN_FOR_ABSENT_S:
        detail = "where there are limits (agents, max_calls), only a caller that LiveKit lists gets a place"
        return f"{one.agent_asked!r} was not asked: {detail}; try: usher probe {shlex.quote(one.agent_asked)}"
    cause = f"not within {waited:.1f} s" if one.status is DispatchStatus.CANCELLED else one.reason
    return f"{cause}; is a worker registered under {one.agent_asked!r}, and below its load limit?"


def _show(result: CallResult) -> None:
    for one in result.dispatches:
        rule = f" (rule {one.rule_name!r})"
        if one.joined_at is not None:
            show(plain(f"{one.agent_asked} joined", "bold green").append(f" after {_milliseconds(one)} ms{rule}"))
        else:
            show(plain(f"{one.agent_asked} did not join: ", "bold red").append_text(plain(f"{_reason(one)}{rule}")))
    if result.problem:
        show(plain(result.problem, "bold red"))
    note(f"see: usher explain {result.event_id or result.identity}")
