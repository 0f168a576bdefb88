"""`usher demo`: everything on one machine, with a simulated LiveKit and a few callers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.panel import Panel
from sqlalchemy import Connection, Engine

from app.accounts.password import hash_password
from app.accounts.roles import Role
from app.accounts.sessions import session_limits, start_session
from app.accounts.users import add_user
from app.cli.demo.callers import CALLERS, WORKERS, join
from app.cli.demo.past_week import past_week
from app.cli.demo.story import Timeline, is_decided, joined_agent, latest_dispatches, result_table, rules_table
from app.cli.serve import listen, serve_app
from app.clock import SystemClock, new_secret
from app.db.engine import create_reader_engine, parse_database_url
from app.errors import ConflictError
from app.flows.sample_history.write_history import write_history
from app.logs import configure_logs
from app.rules.editing.rule_set import apply_file
from app.rules.editing.rules_file import read_rules_file
from app.settings import Settings, read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, Simulator
from app.wiring import Service, add_sign_in_link, service

_RULES = Path(__file__).with_name("demo_rules.yaml")
_HOST = "127.0.0.1"
_PORTS = range(8080, 8090)
"""The first that is free is used, so that the address is the same each time, as a rule."""
_USER = "demo"
_TIMEOUT_S = 30.0  # until all callers are decided; the fallback of the last one takes about 3 s


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="end after the last caller; exit 0 if every caller got the right agent")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="port of the console (default: 8080, or the next that is free)")
    ] = 0,
) -> None:
    """Run everything on this machine: a simulated LiveKit, sample rules, callers, and what happens to each."""
    configure_logs("console", quiet=True)
    with tempfile.TemporaryDirectory(prefix="usher-demo-") as folder:
        try:
            served = uvloop.run(_demo(Path(folder), once=once, port=port))
        except (KeyboardInterrupt, asyncio.CancelledError):  # Ctrl-C, and `_end_on_signals`
            return
    if not served:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _SignIn:
    """The path that signs in to the console, and the password that it may ask for later."""

    path: str
    password: str


def _end_on_signals(running: asyncio.Task[bool] | None) -> None:
    """Let SIGTERM, and SIGHUP of a terminal that is closed, end the demo as Ctrl-C does; later ones change nothing."""

    def end() -> None:
        if running is not None and not running.cancelling():
            running.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` wants it
            asyncio.get_running_loop().add_signal_handler(number, end)


async def _demo(folder: Path, *, once: bool, port: int) -> bool:
    console = Console()
    _end_on_signals(asyncio.current_task())
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(port))
        url = "http://{}:{}".format(*listener.getsockname()[:2])
        simulator = await stack.enter_async_context(Simulator(webhook_urls=[f"{url}/livekit/webhook"]))
        for name in WORKERS:
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
        sign_in = await stack.enter_async_context(_serving(settings, listener))
        readers = create_reader_engine(parse_database_url(settings.database_url.get_secret_value()))
        stack.callback(readers.dispose)
        console.print("[bold]Usher[/] receives the webhooks of a simulated LiveKit. Its rules:")
        console.print(rules_table(readers))
        watching = asyncio.create_task(Timeline(readers, console, SystemClock().now()).watch())
        for caller in CALLERS:
            join(simulator, caller)
            await asyncio.sleep(0.6)
        served = await _wait_for_agents(readers)
        await asyncio.sleep(0.3)  # for the last lines of the timeline
        watching.cancel()  # so that the address below stays in sight
        console.print(result_table(latest_dispatches(readers), CALLERS))
        console.print(
            "Every caller got what was expected; eve got no agent, which the console explains."
            if served
            else "[bold red]A caller has no agent, or the wrong one.[/]"
        )
        if not once:
            console.print(_addresses(url, sign_in))
            await _go_on(simulator)
        return served


def _addresses(url: str, sign_in: _SignIn) -> Panel:
    lines = (
        "Open the console, signed in:",
        f"  {url}{sign_in.path}",
        "",
        "Why did eve get no agent? Find her on the page Calls.",
        "Two days ago sales-agent failed for hours: see Trends, the last 7 days.",
        f"User {_USER}, password {sign_in.password}. Documentation: {url}/docs",
        "Callers hang up and call again every ten seconds. Ctrl-C ends the demo.",
    )
    return Panel("\n".join(lines), expand=False, highlight=False)


@asynccontextmanager
async def _serving(settings: Settings, listener: socket.socket) -> AsyncIterator[_SignIn]:
    async with service(settings) as built:
        await _apply_rules(built)
        await _write_past_week(built)
        sign_in = await _add_user(built, settings)
        stop = asyncio.Event()
        server = asyncio.create_task(serve_app(built.app, listener, stop))
        try:
            yield sign_in
        finally:
            stop.set()
            await server


async def _apply_rules(built: Service) -> None:
    wanted = read_rules_file(_RULES)

    def write(connection: Connection) -> None:
        apply_file(connection, wanted, delete=False, editor=_USER)

    await built.orchestrator.context.writer.run(write)


async def _write_past_week(built: Service) -> None:
    calls = past_week(SystemClock().now())
    largest = built.orchestrator.context.settings.metadata_max_bytes
    await built.orchestrator.context.writer.run(lambda connection: write_history(connection, calls, largest))


async def _add_user(built: Service, settings: Settings) -> _SignIn:
    sign_in = _SignIn(f"/console/demo/{new_secret()[:12]}", new_secret()[:16])
    stored, now = await asyncio.to_thread(hash_password, sign_in.password), SystemClock().now()

    def write(connection: Connection) -> str:
        user = add_user(connection, _USER, Role.ADMIN, by=_USER, now=now, password_hash=stored)
        return start_session(connection, user, now=now, limits=session_limits(settings))[1]

    add_sign_in_link(built, sign_in.path, await built.orchestrator.context.writer.run(write))
    return sign_in


async def _wait_for_agents(readers: Engine) -> bool:
    clock = SystemClock()
    deadline = clock.monotonic() + _TIMEOUT_S
    while clock.monotonic() < deadline:
        latest = await asyncio.to_thread(latest_dispatches, readers)
        if all(is_decided(caller, latest.get(caller.identity)) for caller in CALLERS):
            break
        await asyncio.sleep(0.1)
    latest = await asyncio.to_thread(latest_dispatches, readers)
    return all(joined_agent(latest.get(caller.identity)) == caller.expected for caller in CALLERS)


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
        join(simulator, caller)


def _listener(port: int) -> socket.socket:
    named = port or int(os.environ.get("USHER_PORT", "0"))
    if named:
        return listen(_HOST, named)
    for candidate in _PORTS:
        try:
            return listen(_HOST, candidate)
        except ConflictError:
            continue
    return listen(_HOST, 0)
