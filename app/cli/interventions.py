"""What commands do to events and dispatches by hand: in batches, each in a transaction of its own, told one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import typer
from sqlalchemy import Connection

from app.audit import unknown_dispatches, unknown_events, was_any_sent
from app.cli.database import database_url, reading, told
from app.cli.terminal import note, plain, progress, say, say_json, show, table
from app.clock import SystemClock, process_name
from app.db.audit_log import AuditEntry, append
from app.db.engine import create_writer_engine
from app.db.writer import Writer
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from app.flows.accept.accept import Acceptor
from app.flows.arrival.withdraw import take_back
from app.flows.context import Context
from app.flows.operations import Intervention, cancel, redrive, replayed_event
from app.lifecycle.leaving import Withdrawal
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.twirp import LiveKitApi
from app.logs import configure_logs
from app.metrics import Metrics
from app.rules.book.read_book import follow, read_book
from app.rules.book.rule_book import RuleBook
from app.settings import Settings, read_settings

_BATCH = 100
_AT_ONCE = 8


@dataclass(slots=True)
class Result:
    """What was done, by id, in words; what was refused, and why; what remains to be done elsewhere."""

    done: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    left_over: list[str] = field(default_factory=list)
    dry_run: bool = False


def require_choice(what: str, ids: Sequence[str] | None, *, is_filtered: bool) -> None:
    """Raise unless things are named either by id or by options."""
    if not ids and not is_filtered:
        raise InvalidInputError("usage", [Problem(what, "name them by id, or choose them with options")])
    if ids and is_filtered:
        raise InvalidInputError("usage", [Problem(what, "name them by id or choose them with options, not both")])


def redrive_dispatches(ids: Sequence[str], *, by: str, dry_run: bool) -> Result:
    """Try dispatches again from the beginning; raises NotFoundError for an id that is none, before doing anything."""
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        _require_known("dispatch", unknown_dispatches(connection, ids))
        if dry_run:
            return Result(dict.fromkeys(ids, "would be redriven"), dry_run=True)
        book = read_book(connection)
    return asyncio.run(_redrive(settings, ids, by, book))


async def _redrive(settings: Settings, ids: Sequence[str], by: str, book: RuleBook) -> Result:
    result = Result()

    def step(batch: Sequence[str], connection: Connection) -> Intervention:
        most = settings.metadata_max_bytes
        now = SystemClock().now()
        return redrive(connection, batch, by=by, book=follow(connection, book), metadata_max_bytes=most, now=now)

    async with _writing(settings) as writer:
        with progress("redriving", len(ids)) as report:
            for start, batch in _batches(ids):
                _note(result, await writer.run(partial(step, batch)))
                report(start + len(batch))
    return result


def cancel_dispatches(ids: Sequence[str], *, by: str, dry_run: bool, database_only: bool) -> Result:
    """Give dispatches up and take back at LiveKit what was sent; raises NotFoundError like `redrive_dispatches`.

    `database_only` leaves LiveKit to the sweep of a running Usher; else LIVEKIT_* is needed once anything was sent.
    """
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        _require_known("dispatch", unknown_dispatches(connection, ids))
        was_sent = was_any_sent(connection, ids)
    if dry_run:
        return Result(dict.fromkeys(ids, "would be cancelled"), dry_run=True)
    if was_sent and not database_only:
        settings = read_settings()
    return asyncio.run(_cancel(settings, ids, by))


async def _cancel(settings: Settings, ids: Sequence[str], by: str) -> Result:
    result = Result()
    withdrawals: list[Withdrawal] = []
    async with _writing(settings) as writer:
        with progress("cancelling", len(ids)) as report:
            for start, batch in _batches(ids):
                step = partial(cancel, ids=batch, by=by, now=SystemClock().now())
                done = await writer.run(step)
                _note(result, done)
                withdrawals += done.withdrawals
                report(start + len(batch))
    if settings.projects:
        result.left_over = await _take_back(settings, withdrawals)
    elif withdrawals:
        result.left_over = [f"{one.dispatch_id} stays at LiveKit until the sweep takes it back" for one in withdrawals]
    return result


async def _take_back(settings: Settings, withdrawals: Sequence[Withdrawal]) -> list[str]:
    """Take back at LiveKit; return what could not be."""
    gate = asyncio.Semaphore(_AT_ONCE)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        clients = {}
        for project in settings.projects:
            client = clients[project.name] = LiveKitApi(project, settings.request_timeout, metrics, SystemClock())
            stack.push_async_callback(client.close)

        async def one(withdrawal: Withdrawal) -> str | None:
            client = clients.get(withdrawal.project)
            if client is None:
                return (
                    f"{withdrawal.dispatch_id} stays at LiveKit: project {withdrawal.project!r} is not configured here"
                )
            async with gate:
                try:
                    await take_back(client, withdrawal)
                except LiveKitUnavailableError as error:
                    return f"{withdrawal.dispatch_id} stays at LiveKit until the sweep takes it back: {error}"
            return None

        return [line for line in await asyncio.gather(*map(one, withdrawals)) if line is not None]


def replay_events(ids: Sequence[str], *, by: str, dry_run: bool) -> Result:
    """Accept stored events once more; what is to be sent is left to a running Usher.

    Raises NotFoundError for an id that is none, before doing anything.
    """
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        _require_known("event", unknown_events(connection, ids))
        book = read_book(connection)
        return asyncio.run(_replay(settings, connection, ids, by, None if dry_run else book))


async def _replay(settings: Settings, stored: Connection, ids: Sequence[str], by: str, book: RuleBook | None) -> Result:
    result, clock = Result(dry_run=book is None), SystemClock()
    async with _writing(settings) as writer:
        context = Context(settings, writer, {}, Metrics(), clock, process_name())
        acceptor = Acceptor(context, book, lambda _project: 0) if book is not None else None
        with progress("replaying", len(ids)) as report:
            for count, event_id in enumerate(ids, start=1):
                try:
                    event = replayed_event(stored, event_id, clock.now(), settings.redact)
                except ConflictError as error:
                    result.refused[event_id] = str(error)
                    continue
                if acceptor is None:
                    result.done[event_id] = "would be replayed"
                    continue
                acceptance = await acceptor.accept(event)
                entry = AuditEntry("event", event_id, None, "replayed", f"as event {event.id}", clock.now(), by)
                await writer.run(partial(append, entries=[entry]))
                became = acceptance.outcome or acceptance.status
                result.done[event_id] = f"{became} as event {event.id}".replace("_", " ")
                report(count)
    return result


def tell(result: Result, verb: str, *, named: bool, as_json: bool) -> None:
    """Print what was done; exit 1 when something that was named was refused, or nothing chosen could be done."""
    if as_json:
        say_json({"done": result.done, "refused": result.refused, "left_over": result.left_over,
                  "dry_run": result.dry_run})  # fmt: skip
    else:
        _show(result, verb)
    if result.refused and (named or not result.done):
        raise typer.Exit(1)


def _show(result: Result, verb: str) -> None:
    if result.done or result.refused:
        rows = table("id", "result", narrow=("id",))
        for one, words in result.done.items():
            rows.add_row(plain(one), plain(words, "green"))
        for one, why in result.refused.items():
            rows.add_row(plain(one), plain(f"refused: {why}", "red"))
        show(rows)
    else:
        say("Nothing fits.")
        return
    would = "would be " if result.dry_run else ""
    refused = f", {len(result.refused)} refused" if result.refused else ""
    say(f"{len(result.done)} {would}{verb}{refused}")
    note(*result.left_over)


def _note(result: Result, done: Intervention) -> None:
    result.done |= {one.dispatch.id: f"{one.status}: {one.reason}" for one in done.moves}
    result.refused |= done.refused


def _batches(ids: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    for start in range(0, len(ids), _BATCH):
        yield start, ids[start : start + _BATCH]


def _require_known(what: str, unknown: Sequence[str]) -> None:
    """Raise NotFoundError that names the ids which nothing stored has."""
    if unknown:
        raise NotFoundError(f"no {what} has the id {', '.join(unknown[:10])}; nothing was done")


@asynccontextmanager
async def _writing(settings: Settings) -> AsyncIterator[Writer]:
    configure_logs("console", quiet=True)
    url = database_url(settings)
    writer = Writer(create_writer_engine(url))
    try:
        with told(url):
            yield writer
    finally:
        await writer.close()
