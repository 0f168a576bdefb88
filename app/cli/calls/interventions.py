"""Redrive, cancel and replay from the command line: in batches, each in a transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import typer
from sqlalchemy import Connection

from app.audit import unknown_dispatches, unknown_events, was_any_sent
from app.cli.framework.database import database_errors, database_url, reading
from app.cli.framework.known_projects import settings_of_projects
from app.cli.framework.terminal import note, plain, progress, say, say_json, show, table
from app.clock import SystemClock, date_ids_by, process_name
from app.db.database_clock import clock_of
from app.db.engine import create_writer_engine
from app.db.writer import Writer
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from app.flows.accept.accept import Acceptor
from app.flows.arrival.withdraw import take_back
from app.flows.context import Context
from app.flows.listing.room_lists import RoomLists
from app.flows.operations.operations import Operations, replayed_event
from app.flows.operations.result import OperationResult, why_not_served
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.leaving import Withdrawal
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.twirp import LiveKitApi
from app.logs import configure_logs
from app.metrics import Metrics
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.settings import Settings, read_settings

_BATCH = 100
_AT_ONCE = 8


@dataclass(slots=True)
class Result:
    """What was done and what was refused, by id, with a text; what stays at LiveKit, or is left to a running Usher."""

    done: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    left_over: list[str] = field(default_factory=list)
    dry_run: bool = False

    def add(
        self,
        done: Iterable[str],
        made: Mapping[str, str],
        refused: Mapping[str, str],
        left_over: Mapping[str, str],
        would: str,
    ) -> None:
        """Add what became of a batch: `made` are the new dispatches by the old; `would` is the text of a dry run."""
        text = would if self.dry_run else "done"
        self.done |= {one: f"as dispatch {made[one]}" if one in made else text for one in done}
        self.refused |= refused
        self.left_over += [f"{one} {what}" for one, what in left_over.items()]


def require_choice(what: str, ids: Sequence[str] | None, *, is_filtered: bool) -> None:
    """Raise InvalidInputError unless either ids or options select something."""
    if not ids and not is_filtered:
        raise InvalidInputError("usage", [Problem(what, "give ids, or select with options")])
    if ids and is_filtered:
        raise InvalidInputError("usage", [Problem(what, "give ids or select with options, not both")])


def redrive_dispatches(ids: Sequence[str], *, by: str, dry_run: bool) -> Result:
    """Retry dispatches from the beginning; raises NotFoundError for unknown ids, before anything is done."""
    settings = settings_of_projects()
    with reading(settings) as connection:
        _require_known("dispatch", unknown_dispatches(connection, ids))
        book = read_book(connection)
    return asyncio.run(_redrive(settings, ids, by, book, dry_run=dry_run))


async def _redrive(settings: Settings, ids: Sequence[str], by: str, book: RuleBook, *, dry_run: bool) -> Result:
    result = Result(dry_run=dry_run)
    async with _operating(settings, book) as (operations, _):
        await _in_batches(
            result, "redriving", ids, lambda batch: operations.redrive(batch, by, dry_run=dry_run), "would be redriven"
        )
    return result


def cancel_dispatches(ids: Sequence[str], *, by: str, dry_run: bool, database_only: bool) -> Result:
    """Cancel dispatches and delete at LiveKit those that were sent; raises NotFoundError like `redrive_dispatches`.

    `database_only` leaves LiveKit to the sweep of a running Usher; else LIVEKIT_* is needed once anything was sent.
    """
    settings = settings_of_projects()
    with reading(settings) as connection:
        _require_known("dispatch", unknown_dispatches(connection, ids))
        was_sent = was_any_sent(connection, ids)
        book = read_book(connection)
    if was_sent and not dry_run and not database_only:
        settings = read_settings()
    return asyncio.run(_cancel(settings, ids, by, book, dry_run=dry_run, database_only=database_only))


async def _cancel(
    settings: Settings, ids: Sequence[str], by: str, book: RuleBook, *, dry_run: bool, database_only: bool
) -> Result:
    result, sent = Result(dry_run=dry_run), list[str]()

    async def cancel(batch: Sequence[str]) -> OperationResult:
        done = await operations.cancel(batch, by, dry_run=dry_run)
        sent.extend(done.sent)
        return done

    async with _operating(settings, book) as (operations, withdrawals):
        await _in_batches(result, "cancelling", ids, cancel, "would be cancelled")
    if database_only or not settings.projects:
        stays = "would stay" if dry_run else "stays"
        result.left_over += [f"{one} {stays} at LiveKit until the sweep deletes it" for one in sent]
    else:
        possible = [one for one in withdrawals if why_not_served(one.project, settings) is None]
        result.left_over += await _take_back(settings, possible)
    return result


async def _take_back(settings: Settings, withdrawals: Sequence[Withdrawal]) -> list[str]:
    """Delete dispatches of configured projects at LiveKit; return a line for each that could not be deleted."""
    gate = asyncio.Semaphore(_AT_ONCE)
    metrics = Metrics()
    lists = RoomLists(SystemClock())
    async with AsyncExitStack() as stack:
        clients = {}
        for project in settings.projects:
            client = clients[project.name] = LiveKitApi(project, settings.request_timeout, metrics, SystemClock())
            stack.push_async_callback(client.close)

        async def one(withdrawal: Withdrawal) -> str | None:
            async with gate:
                try:
                    await take_back(clients[withdrawal.project], lists, withdrawal)
                except LiveKitUnavailableError as error:
                    return f"{withdrawal.dispatch_id} stays at LiveKit until the sweep deletes it: {error}"
            return None

        return [line for line in await asyncio.gather(*map(one, withdrawals)) if line is not None]


def replay_events(ids: Sequence[str], *, by: str, dry_run: bool) -> Result:
    """Accept stored events again; a running Usher sends the dispatches.

    Raises NotFoundError for an id that is none, before doing anything.
    """
    settings = settings_of_projects()
    with reading(settings) as connection:
        _require_known("event", unknown_events(connection, ids))
        if dry_run:
            return _would_replay(connection, ids, settings)
        book = read_book(connection)
    return asyncio.run(_replay(settings, ids, by, book))


def _would_replay(connection: Connection, ids: Sequence[str], settings: Settings) -> Result:
    result, now = Result(dry_run=True), SystemClock().now()
    for event_id in ids:
        try:
            replayed_event(connection, event_id, now, settings)
        except ConflictError as error:
            result.refused[event_id] = str(error)
        else:
            result.done[event_id] = "would be replayed"
    return result


async def _replay(settings: Settings, ids: Sequence[str], by: str, book: RuleBook) -> Result:
    result = Result()
    async with _operating(settings, book) as (operations, _):
        with progress("replaying", len(ids)) as report:
            for count, event_id in enumerate(ids, start=1):
                try:
                    event, acceptance = await operations.replay(event_id, by)
                except ConflictError as error:
                    result.refused[event_id] = str(error)
                else:
                    became = acceptance.outcome or acceptance.status
                    result.done[event_id] = f"{became} as event {event.id}".replace("_", " ")
                report(count)
    return result


def print_result(result: Result, verb: str, *, named: bool, as_json: bool) -> None:
    """Print what was done; exit 1 if a given id was refused, or everything selected was."""
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
        say("Nothing matches.")
        return
    would = "would be " if result.dry_run else ""
    refused = f", {len(result.refused)} refused" if result.refused else ""
    say(f"{len(result.done)} {would}{verb}{refused}")
    note(*result.left_over)


async def _in_batches(
    result: Result,
    title: str,
    ids: Sequence[str],
    operate: Callable[[Sequence[str]], Awaitable[OperationResult]],
    would: str,
) -> None:
    """Add to `result` what `operate` does to each batch of ids, or would do in a dry run, whose text is `would`."""
    # A dry run is one batch: it writes nothing by which a later batch would see that a caller is served already.
    size = max(1, len(ids)) if result.dry_run else _BATCH
    with progress(title, len(ids)) as report:
        for start in range(0, len(ids), size):
            done = await operate(ids[start : start + size])
            result.add(done.done, done.made, done.refused, done.left_over, would)
            report(min(start + size, len(ids)))


def _require_known(what: str, unknown: Sequence[str]) -> None:
    """Raise NotFoundError with the unknown ids, if there are any."""
    if unknown:
        raise NotFoundError(f"no {what} has the id {', '.join(map(repr, unknown[:10]))}; nothing was done")


@asynccontextmanager
async def _operating(settings: Settings, book: RuleBook) -> AsyncIterator[tuple[Operations, list[Withdrawal]]]:
    """Yield the operations, and a list of what they leave to be taken back from LiveKit.

    No dispatch is called for here: a running Usher claims what is due.
    """
    configure_logs("console", quiet=True)
    url = database_url(settings)
    engine = create_writer_engine(url)
    writer = Writer(engine)
    current, withdrawals = book, list[Withdrawal]()

    def follow(after: AfterCommit) -> None:
        nonlocal current
        current = after.book or current
        withdrawals.extend(after.withdrawals)

    def use_current() -> RuleBook:
        return current

    with database_errors(url):
        clock = clock_of(engine)
    date_ids_by(clock)
    context = Context(settings, writer, {}, Metrics(), clock, process_name())
    transactions = Transactions(writer, follow)
    acceptor = Acceptor(context, transactions, use_current, lambda _project: 0)
    try:
        with database_errors(url):
            yield Operations(context, transactions, use_current, acceptor.accept), withdrawals
    finally:
        await writer.close()
