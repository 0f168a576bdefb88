"""`usher demo`: everything on one machine, with a simulated LiveKit and a few callers."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from app.audit import DispatchFilter, DispatchSummary, changes_after, events_after, newest_dispatches
from app.cli.serve import listen, serve_app
from app.clock import SystemClock
from app.db.engine import create_reader_engine, parse_database_url
from app.db.types import DispatchStatus
from app.flows.orchestrator import Orchestrator
from app.livekit.vocabulary import EventType, ParticipantKind
from app.logs import configure_logs
from app.rules.editing.rule_set import apply_rules
from app.rules.editing.rules_file import read_rules_file
from app.rules.editing.stored_rules import read_rules
from app.rules.fallbacks import names_of_fallbacks
from app.settings import Settings, read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, Simulator
from app.wiring import service

_RULES = Path(__file__).with_name("demo_rules.yaml")
_WORKERS = ("support-agent", "sales-agent", "phone-agent", "reception-agent")
_TIMEOUT_S = 15.0  # for all agents to join; the fallback of the last caller takes about 3 s


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the demo, and the agent that should join."""

    name: str
    identity: str
    room: str
    expected: str
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
    Caller("web, agent is away", "dora", "billing-4410", "reception-agent", '{"department":"billing"}'),
)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="end after the last caller; exit 0 if every caller got the right agent")
    ] = False,
    port: Annotated[int, typer.Option(help="port of the console; 0 for any free one")] = 0,
) -> None:
    """Run everything on this machine: a simulated LiveKit, sample rules, callers, and what happens to each."""
    configure_logs("console", quiet=True)
    with tempfile.TemporaryDirectory(prefix="usher-demo-") as folder:
        try:
            served = uvloop.run(_demo(Path(folder), once=once, port=port))
        except KeyboardInterrupt:
            return
    if not served:
        raise typer.Exit(1)


async def _demo(folder: Path, *, once: bool, port: int) -> bool:
    console = Console()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(port))
        url = "http://{}:{}".format(*listener.getsockname()[:2])
        simulator = await stack.enter_async_context(Simulator(webhook_urls=[f"{url}/livekit/webhook"]))
        for name in _WORKERS:
            simulator.add_worker(name)
        settings = read_settings(
            {
                "LIVEKIT_URL": simulator.url,
                "LIVEKIT_API_KEY": SIMULATOR_KEY,
                "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
                "DATABASE_URL": f"sqlite:///{folder}/usher.db",
                "USHER_SWEEP_INTERVAL": "5",
            }
        )
        first_admin_path = await stack.enter_async_context(_serving(settings, listener))
        readers = create_reader_engine(parse_database_url(settings.database_url.get_secret_value()))
        stack.callback(readers.dispose)
        console.print("[bold]Usher[/] receives the webhooks of a simulated LiveKit. Its rules:")
        console.print(_rules_table(readers))
        timeline = _Timeline(readers, console)
        watching = asyncio.create_task(timeline.watch())
        for caller in CALLERS:
            _call(simulator, caller)
            await asyncio.sleep(0.6)
        served = await _wait_for_agents(readers, CALLERS)
        await asyncio.sleep(0.3)  # for the last lines of the timeline
        console.print(_result_table(readers, CALLERS))
        console.print(
            "Every caller has the right agent." if served else "[bold red]A caller has no agent, or the wrong one.[/]"
        )
        if not once:
            console.print(f"Console, to add its first admin: {url}{first_admin_path}", soft_wrap=True)
            console.print(f"After that: {url}/console   metrics: {url}/metrics   Ctrl-C ends the demo.")
            await _go_on(simulator)
        watching.cancel()
        return served


@asynccontextmanager
async def _serving(settings: Settings, listener: socket.socket) -> Any:
    async with service(settings) as built:
        await _apply_rules(built.orchestrator)
        stop = asyncio.Event()
        server = asyncio.create_task(serve_app(built.app, listener, stop))
        try:
            yield built.first_admin_path
        finally:
            stop.set()
            await server


async def _apply_rules(orchestrator: Orchestrator) -> None:
    wanted = read_rules_file(_RULES).rules

    def write(connection: Any) -> None:
        apply_rules(connection, wanted, delete=False, editor="demo")

    await orchestrator.context.writer.run(write)


def _call(simulator: Simulator, caller: Caller) -> None:
    simulator.join(
        caller.room,
        caller.identity,
        kind=caller.kind,
        name=caller.name,
        metadata=caller.metadata,
        attributes=dict(caller.attributes),
    )


async def _wait_for_agents(readers: Engine, callers: Sequence[Caller]) -> bool:
    clock = SystemClock()
    deadline = clock.monotonic() + _TIMEOUT_S
    while clock.monotonic() < deadline:
        by_identity = await asyncio.to_thread(_latest_dispatches, readers)
        arrived = {identity for identity, dispatch in by_identity.items() if _joined_agent(dispatch)}
        if arrived >= {caller.identity for caller in callers}:
            break
        await asyncio.sleep(0.1)
    by_identity = await asyncio.to_thread(_latest_dispatches, readers)
    return all(_joined_agent(by_identity.get(caller.identity)) == caller.expected for caller in callers)


async def _go_on(simulator: Simulator) -> None:
    """Keep Usher busy: every ten seconds one caller hangs up and calls again."""
    turn = 0
    while True:
        await asyncio.sleep(10)
        caller = CALLERS[turn % len(CALLERS)]
        turn += 1
        if simulator.room(caller.room) is not None:
            simulator.finish_room(caller.room)
        await asyncio.sleep(1)
        _call(simulator, caller)


class _Timeline:
    """Prints events and changes of dispatches as they are stored."""

    def __init__(self, readers: Engine, console: Console) -> None:
        self._readers = readers
        self._console = console
        self._last_event = ""
        self._last_line = 0
        self._began: dict[str, tuple[str, Any]] = {}

    async def watch(self) -> None:
        """Print new lines until cancelled."""
        while True:
            for line in await asyncio.to_thread(lambda: list(self._new_lines())):
                self._console.print(line, highlight=False)
            await asyncio.sleep(0.05)

    def _new_lines(self) -> Iterator[str]:
        with self._readers.connect() as connection:
            for event in events_after(connection, self._last_event):
                self._last_event = event.id
                if event.type == EventType.PARTICIPANT_JOINED and event.participant_kind != ParticipantKind.AGENT:
                    self._began[event.id] = (event.participant_identity, event.received_at)
                    rules = ", ".join(rule["rule"] for rule in (event.decision or {}).get("matched", []))
                    text = f"joins {event.room_name}; rule: {rules or 'none'}"
                    yield _line(0.0, event.participant_identity, text)
            for change in changes_after(connection, self._last_line):
                line = change.line
                self._last_line = line.id
                identity, began = self._began.get(change.event_id, ("?", line.changed_at))
                seconds = (line.changed_at - began).total_seconds()
                yield _line(seconds, identity, f"{_marked(line.to_state)} {line.reason}")


def _line(seconds: float, identity: str, text: str) -> str:
    return f"[dim]{seconds:6.2f} s[/]  {identity:<18} {text}"


def _marked(state: str) -> str:
    colour = {"joined": "green", "no_show": "red", "failed": "red", "cancelled": "yellow"}.get(state, "cyan")
    return f"[{colour}]{state:<10}[/]"


def _rules_table(readers: Engine) -> Table:
    table = Table("priority", "rule", "agent", "fallback")
    with readers.connect() as connection:
        for rule in read_rules(connection):
            fallback = ", ".join(names_of_fallbacks(rule["fallbacks"]))
            table.add_row(str(rule["priority"]), rule["name"], rule["agent_name"], fallback)
    return table


def _result_table(readers: Engine, callers: Sequence[Caller]) -> Table:
    table = Table("caller", "expected", "joined", "after", "")
    by_identity = _latest_dispatches(readers)
    for caller in callers:
        dispatch = by_identity.get(caller.identity)
        joined = _joined_agent(dispatch)
        waited = dispatch.seconds_to_agent if dispatch is not None else None
        after = "" if waited is None else f"{waited:.2f} s"
        mark = "[green]right[/]" if joined == caller.expected else "[red]wrong[/]"
        table.add_row(caller.name, caller.expected, joined or "none", after, mark)
    return table


def _latest_dispatches(readers: Engine) -> dict[str, DispatchSummary]:
    """Return the latest dispatch of each participant, by identity."""
    latest: dict[str, DispatchSummary] = {}
    with readers.connect() as connection:
        for dispatch in newest_dispatches(connection, DispatchFilter()):
            latest.setdefault(dispatch.participant_identity, dispatch)
    return latest


def _joined_agent(dispatch: DispatchSummary | None) -> str | None:
    return dispatch.agent_asked if dispatch is not None and dispatch.status is DispatchStatus.JOINED else None


def _listener(port: int) -> socket.socket:
    return listen("127.0.0.1", port or int(os.environ.get("USHER_PORT", "0")))
