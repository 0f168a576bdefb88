"""Group commit, on both databases."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, text
from sqlalchemy.exc import OperationalError

from app.db.engine import flush
from app.db.tables import rule_editor
from app.db.transaction import RaceLostError
from app.db.writer import BATCH_WINDOW_S, EARLY_LIMIT, GATHERED_LIMIT, MAX_DEFERRAL_S, Writer
from app.errors import DatabaseUnavailableError
from tests.conftest import Database
from tests.world.executor import LoopExecutor
from tests.world.virtual_time import LoopClock, VirtualTimeLoop, in_virtual_time


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Writer]:
    writer = Writer(database.writer_engine())
    yield writer
    await writer.close()


def in_loop_time(database: Database, *, delay_s: float = 0.0) -> Writer:
    """Return a writer in virtual time, each of whose commits and flushes takes `delay_s`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    executor = LoopExecutor()
    executor.delay_s = delay_s
    return Writer(database.writer_engine(), clock=LoopClock(loop), executor=executor)


def put(connection: Connection, name: str) -> str:
    connection.execute(insert(rule_editor).values(name=name))
    return name


def names(database: Database) -> list[str]:
    return [row["name"] for row in database.execute("SELECT name FROM rule_editor ORDER BY id")]


async def test_a_result_comes_only_after_the_commit(writer: Writer, database: Database) -> None:
    assert await writer.run(lambda connection: put(connection, "a")) == "a"
    assert names(database) == ["a"]


@pytest.fixture
async def flushing_writer(sqlite_database: Database) -> AsyncIterator[Writer]:
    """A writer whose commits must be flushed; PostgreSQL does that within its COMMIT."""
    writer = Writer(sqlite_database.writer_engine())
    yield writer
    await writer.close()


async def test_on_commit_runs_before_the_flush(
    flushing_writer: Writer, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced = asyncio.Event()
    disk = threading.Event()
    flushed: list[bool] = []

    def slow(engine: Engine) -> None:
        flushed.append(disk.wait(60))
        flush(engine)

    monkeypatch.setattr("app.db.writer.flush", slow)
    waiting = asyncio.create_task(
        flushing_writer.run_batched(
            lambda c, items: [put(c, item) for item in items], "a", on_commit=lambda _: announced.set()
        )
    )
    await asyncio.wait_for(announced.wait(), 60)
    assert names(sqlite_database) == ["a"]
    assert not waiting.done()
    assert flushed == []
    disk.set()
    assert await waiting == "a"
    assert flushed == [True]


async def test_in_a_large_transaction_on_commit_runs_after_the_flush(
    flushing_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work that starts there would delay the answers of all units."""
    announced: list[str] = []
    before_flush: list[str] = []
    monkeypatch.setattr("app.db.writer.flush", lambda _engine: before_flush.extend(announced))

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        return [put(connection, item) for item in items]

    sent = [f"{number}" for number in range(EARLY_LIMIT)]
    await asyncio.gather(*(flushing_writer.run_batched(handler, name, on_commit=announced.append) for name in sent))
    assert announced == sent
    assert before_flush == []


async def test_a_failing_disk_is_reported_as_unavailable(
    flushing_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_engine: Engine) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("app.db.writer.flush", broken)
        with pytest.raises(DatabaseUnavailableError, match="Input/output error"):
            await flushing_writer.run(lambda connection: put(connection, "a"))
    assert await flushing_writer.run(lambda connection: put(connection, "b")) == "b"


async def test_a_transaction_commits_while_another_is_flushed(
    flushing_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call to LiveKit that follows the second commit does not wait for the disk of the first."""
    disk, flushing = threading.Event(), threading.Event()

    def slow(engine: Engine) -> None:
        flushing.set()
        disk.wait(60)
        flush(engine)

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        return [put(connection, item) for item in items]

    monkeypatch.setattr("app.db.writer.flush", slow)
    committed = asyncio.Event()
    first = asyncio.create_task(flushing_writer.run_batched(handler, "a"))
    assert await asyncio.to_thread(flushing.wait, 60)
    second = asyncio.create_task(flushing_writer.run_batched(handler, "b", on_commit=lambda _: committed.set()))
    await asyncio.wait_for(committed.wait(), 60)
    assert not first.done()
    assert not second.done()
    disk.set()
    assert [await first, await second] == ["a", "b"]


async def test_each_result_waits_for_a_flush_that_began_after_its_commit(
    flushing_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that is under way may have passed the place in the log that a commit has just written."""
    steps: list[str] = []
    disk, flushing = threading.Event(), threading.Event()

    def slow(_engine: Engine) -> None:
        steps.append("flush begins")
        flushing.set()
        disk.wait(60)
        steps.append("flush ends")

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        return [put(connection, item) for item in items]

    async def write(name: str) -> None:
        await flushing_writer.run_batched(handler, name, on_commit=lambda _: steps.append(f"{name} committed"))
        steps.append(f"{name} answered")

    monkeypatch.setattr("app.db.writer.flush", slow)
    first = asyncio.create_task(write("a"))
    assert await asyncio.to_thread(flushing.wait, 60)
    second = asyncio.create_task(write("b"))
    while "b committed" not in steps:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.001)
    disk.set()
    await asyncio.gather(first, second)
    assert steps.index("b answered") > steps.index("flush begins", steps.index("b committed"))
    assert steps.index("a answered") < steps.index("b answered")


async def test_on_commit_does_not_run_for_a_unit_that_failed(writer: Writer) -> None:
    announced: list[str] = []

    def handler(_connection: Connection, _items: Sequence[str]) -> list[str]:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await writer.run_batched(handler, "a", on_commit=announced.append)
    assert announced == []


async def test_the_write_ahead_log_is_flushed(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[str] = []

    def sync(descriptor: int) -> None:
        os.fdatasync(descriptor)
        files.append(f"{Path(f'/proc/self/fd/{descriptor}').readlink()}")

    monkeypatch.setattr("app.db.engine.sqlite_file._sync", sync)
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(lambda connection: put(connection, "a"))
    assert files == [f"{sqlite_database.url.database}-wal"]
    await writer.close()


async def test_units_that_wait_share_a_transaction_and_keep_their_order(writer: Writer, database: Database) -> None:
    transactions: set[int] = set()
    hold = threading.Event()

    def unit(connection: Connection, name: str) -> str:
        transactions.add(id(connection.get_transaction()))
        return put(connection, name)

    first = asyncio.create_task(writer.run(lambda _: hold.wait(60)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(writer.run(partial(unit, name=f"{n:03}"))) for n in range(50)]
    await asyncio.sleep(0)
    hold.set()
    await first
    assert await asyncio.gather(*others) == [f"{n:03}" for n in range(50)]
    assert names(database) == [f"{n:03}" for n in range(50)]
    assert len(transactions) < 5


async def test_a_bad_unit_fails_alone(writer: Writer, database: Database) -> None:
    hold = threading.Event()

    def fail(connection: Connection) -> None:
        put(connection, "never")
        raise ValueError("bad unit")

    first = asyncio.create_task(writer.run(lambda _: hold.wait(60)))
    await asyncio.sleep(0)
    good = asyncio.create_task(writer.run(lambda connection: put(connection, "good")))
    bad = asyncio.create_task(writer.run(fail))
    late = asyncio.create_task(writer.run(lambda connection: put(connection, "late")))
    await asyncio.sleep(0)
    hold.set()
    await first
    assert await good == "good"
    assert await late == "late"
    with pytest.raises(ValueError, match="bad unit"):
        await bad
    assert names(database) == ["good", "late"]


async def test_items_of_one_handler_are_given_together(writer: Writer) -> None:
    sizes: list[int] = []
    hold = threading.Event()

    def handler(_connection: Connection, items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        return [item * 2 for item in items]

    first = asyncio.create_task(writer.run(lambda _: hold.wait(60)))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(writer.run_batched(handler, item)) for item in range(10)]
    await asyncio.sleep(0)
    hold.set()
    await first
    assert await asyncio.gather(*waiting) == [item * 2 for item in range(10)]
    assert sizes == [10]


async def test_background_units_run_after_urgent_ones(writer: Writer, database: Database) -> None:
    transactions: list[list[str]] = []
    hold = threading.Event()

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        transactions.append(list(items))
        return [put(connection, item) for item in items]

    first = asyncio.create_task(writer.run(lambda _: hold.wait(60)))
    await asyncio.sleep(0)
    background = [
        asyncio.create_task(writer.run_batched(handler, f"background {n}", background=True)) for n in range(2)
    ]
    await asyncio.sleep(0)
    urgent = asyncio.create_task(writer.run_batched(handler, "urgent"))
    await asyncio.sleep(0)
    hold.set()
    await first
    assert await urgent == "urgent"
    assert await asyncio.gather(*background) == ["background 0", "background 1"]
    assert transactions == [["urgent"], ["background 0", "background 1"]]
    assert names(database) == ["urgent", "background 0", "background 1"]


@in_virtual_time
async def test_background_units_run_although_urgent_ones_never_stop(sqlite_database: Database) -> None:
    writer = in_loop_time(sqlite_database, delay_s=0.02)
    waiting = asyncio.create_task(writer.run_batched(lambda _, items: list(items), "a", background=True))

    urgent: list[asyncio.Task[None]] = []
    while not waiting.done():
        urgent.append(asyncio.create_task(writer.run(lambda _: None)))
        await asyncio.sleep(0.005)
    ended = asyncio.get_running_loop().time()
    assert await waiting == "a"
    await asyncio.gather(*urgent)
    assert len(urgent) > MAX_DEFERRAL_S / 0.005
    # It waits for the commit and the flush that are under way, and for its own.
    assert MAX_DEFERRAL_S <= ended <= MAX_DEFERRAL_S + 4 * 0.02 + 0.005
    await writer.close()


async def test_background_units_run_when_nothing_else_waits(writer: Writer, database: Database) -> None:
    await asyncio.wait_for(
        writer.run_batched(lambda c, items: [put(c, item) for item in items], "a", background=True), 60
    )
    assert names(database) == ["a"]


async def test_background_units_run_before_the_writer_closes(database: Database) -> None:
    writer = Writer(database.writer_engine())
    background = asyncio.create_task(
        writer.run_batched(lambda c, items: [put(c, item) for item in items], "a", background=True)
    )
    await asyncio.sleep(0)
    await writer.close()
    assert await background == "a"
    assert names(database) == ["a"]


@in_virtual_time
async def test_an_urgent_unit_at_the_end_of_the_batch_window(sqlite_database: Database) -> None:
    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        return [put(connection, item) for item in items]

    writer = in_loop_time(sqlite_database)

    async def urgent() -> str:
        await asyncio.sleep(BATCH_WINDOW_S)
        return await writer.run_batched(handler, "urgent")

    background = asyncio.create_task(writer.run_batched(handler, "background", background=True))
    coming = asyncio.create_task(urgent())
    assert list(await asyncio.gather(background, coming)) == ["background", "urgent"]
    assert sorted(names(sqlite_database)) == ["background", "urgent"]
    await writer.close()


@in_virtual_time
async def test_units_with_a_window_go_along_with_the_next_urgent_one(database: Database) -> None:
    transactions: list[list[str]] = []

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        transactions.append(list(items))
        return [put(connection, item) for item in items]

    writer = in_loop_time(database)
    waiting = [asyncio.create_task(writer.run_batched(handler, name, window_s=0.02)) for name in ("a", "b")]
    await asyncio.sleep(0.01)
    assert transactions == []
    assert await writer.run_batched(handler, "urgent") == "urgent"
    assert asyncio.get_running_loop().time() < 0.02
    assert await asyncio.gather(*waiting) == ["a", "b"]
    assert transactions == [["a", "b", "urgent"]]
    await writer.close()


@in_virtual_time
async def test_a_window_ends_although_nothing_urgent_comes_and_takes_background_units_along(
    database: Database,
) -> None:
    transactions: list[list[str]] = []

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        transactions.append(list(items))
        return [put(connection, item) for item in items]

    writer = in_loop_time(database)
    background = asyncio.create_task(writer.run_batched(handler, "background", background=True))
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    assert await writer.run_batched(handler, "a", window_s=0.02) == "a"
    assert 0.02 <= asyncio.get_running_loop().time() - began < BATCH_WINDOW_S
    assert await background == "background"
    assert transactions == [["a", "background"]]
    await writer.close()


@in_virtual_time
async def test_enough_units_with_a_window_do_not_wait(database: Database) -> None:
    writer = in_loop_time(database)
    began = asyncio.get_running_loop().time()
    units = [writer.run_batched(lambda _, items: list(items), n, window_s=5.0) for n in range(GATHERED_LIMIT)]
    assert await asyncio.gather(*units) == list(range(GATHERED_LIMIT))
    assert asyncio.get_running_loop().time() - began < 1.0
    await writer.close()


async def test_units_with_a_window_run_before_the_writer_closes(database: Database) -> None:
    writer = Writer(database.writer_engine())
    waiting = asyncio.create_task(
        writer.run_batched(lambda c, items: [put(c, item) for item in items], "a", window_s=60.0)
    )
    await asyncio.sleep(0)
    await writer.close()
    assert await waiting == "a"
    assert names(database) == ["a"]


@in_virtual_time
async def test_a_writer_whose_callers_have_all_gone_goes_on(database: Database) -> None:
    writer = in_loop_time(database)
    gone = asyncio.create_task(writer.run_batched(lambda _, items: list(items), "gone", window_s=0.02))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(1)
    assert await writer.run(lambda connection: put(connection, "a")) == "a"
    await writer.close()


async def test_a_slow_unit_does_not_block_the_event_loop(writer: Writer) -> None:
    begun, released = threading.Event(), threading.Event()

    def unit(_connection: Connection) -> bool:
        begun.set()
        return released.wait(30)

    waiting = asyncio.create_task(writer.run(unit))
    while not begun.is_set():  # noqa: ASYNC110 - set by the writer's thread
        await asyncio.sleep(0.001)
    released.set()
    assert await waiting


async def test_the_event_loop_does_not_wait_for_a_lock(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database.writer_engine())
    with sqlite_database.writer_engine().begin() as holding:
        holding.execute(text("INSERT INTO rule_editor (name) VALUES ('x')"))
        waiting = asyncio.create_task(writer.run_batched(lambda c, items: [put(c, item) for item in items], "a"))
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not waiting.done()
    # Were the loop to wait, the lock would be held until the wait is given up, and the write refused.
    assert await waiting == "a"
    await writer.close()


async def test_a_defect_in_on_commit_keeps_no_result_from_its_caller(writer: Writer) -> None:
    def fail(_result: str) -> None:
        raise ValueError("a defect")

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        return [put(connection, item) for item in items]

    names = [f"{number}" for number in range(EARLY_LIMIT)]
    assert await writer.run_batched(handler, "alone", on_commit=fail) == "alone"
    assert await asyncio.gather(*(writer.run_batched(handler, name, on_commit=fail) for name in names)) == names
    assert await writer.run(lambda connection: put(connection, "later")) == "later"


async def test_transactions_run_in_the_executor_that_is_given(database: Database) -> None:
    writer = Writer(database.writer_engine(), executor=LoopExecutor())
    threads = await asyncio.gather(*(writer.run(lambda _: threading.current_thread()) for _ in range(3)))
    assert set(threads) == {threading.main_thread()}
    await writer.close()


async def test_a_lost_race_is_run_again(writer: Writer) -> None:
    tries: list[int] = []

    def unit(_connection: Connection) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise RaceLostError
        return len(tries)

    assert await writer.run(unit) == 3


async def test_units_that_lose_each_time_are_refused_and_delay_no_others(postgres_database: Database) -> None:
    runs = {"lost": 0, "won": 0}

    def put_all(connection: Connection, items: Sequence[str]) -> list[str]:
        for item in items:
            runs[item] += 1
            put(connection, item)
        if "lost" in items:
            connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'not serializable' USING ERRCODE = '40001'; END $$")
        return [*items]

    writer = Writer(postgres_database.writer_engine())
    together = (writer.run_batched(put_all, item) for item in runs)
    lost, won = await asyncio.gather(*together, return_exceptions=True)
    assert isinstance(lost, DatabaseUnavailableError)
    assert won == "won"
    assert runs == {"lost": 4, "won": 2}  # once together
    assert names(postgres_database) == ["won"]
    await writer.close()


async def test_a_locked_database_is_reported_as_unavailable(sqlite_database: Database) -> None:
    engine = sqlite_database.writer_engine()
    writer = Writer(engine)
    with engine.connect() as connection:
        assert connection.execute(select(1)).scalar() == 1
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    other = sqlite_database.writer_engine()
    with other.begin() as holding:
        holding.execute(text("INSERT INTO rule_editor (name) VALUES ('x')"))
        with pytest.raises(DatabaseUnavailableError, match="locked"):
            await writer.run(lambda connection: put(connection, "a"))
    assert await writer.run(lambda connection: put(connection, "b")) == "b"
    await writer.close()


async def test_a_connection_that_cannot_be_opened_makes_the_database_unavailable_only_meanwhile(
    database: Database,
) -> None:
    def put_all(connection: Connection, items: Sequence[str]) -> list[str]:
        return [put(connection, item) for item in items]

    def refuse(*_arguments: Any) -> None:
        raise OperationalError("connect", None, OSError(24, "Too many open files"))

    engine = database.writer_engine()
    event.listen(engine, "do_connect", refuse)
    writer = Writer(engine)
    async with asyncio.timeout(60):
        with pytest.raises(DatabaseUnavailableError, match="Too many open files"):
            await writer.run_batched(put_all, "a")
        event.remove(engine, "do_connect", refuse)
        assert await writer.run_batched(put_all, "b") == "b"
    await writer.close()
    assert names(database) == ["b"]


async def test_a_connection_that_the_server_closed_is_replaced(postgres_database: Database) -> None:
    writer = Writer(postgres_database.writer_engine())
    await writer.run(lambda connection: put(connection, "a"))
    postgres_database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    assert await writer.run(lambda connection: put(connection, "b")) == "b"
    await writer.close()


async def test_a_closed_writer_refuses_units(database: Database) -> None:
    writer = Writer(database.writer_engine())
    last = asyncio.create_task(writer.run(lambda connection: put(connection, "last")))
    await asyncio.sleep(0)
    await writer.close()
    assert await last == "last"
    with pytest.raises(DatabaseUnavailableError):
        await writer.run(lambda connection: put(connection, "more"))


async def test_a_connection_that_broke_while_idle_costs_no_write(postgres_database: Database) -> None:
    writer = Writer(postgres_database.writer_engine())
    pid = await writer.run(lambda connection: connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())
    postgres_database.execute("SELECT pg_terminate_backend(:pid, 5000)", pid=pid)
    assert await writer.run(lambda connection: put(connection, "a")) == "a"
    assert names(postgres_database) == ["a"]
    await writer.close()


async def test_a_database_that_stays_away_is_reported_as_unavailable(postgres_database: Database) -> None:
    writer = Writer(postgres_database.writer_engine())
    await writer.run(lambda connection: put(connection, "a"))
    name = postgres_database.url.database
    server = Database(postgres_database.url.set(database="postgres"))
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name", name=name)
    with pytest.raises(DatabaseUnavailableError):
        await writer.run(lambda connection: put(connection, "b"))
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert await writer.run(lambda connection: put(connection, "c")) == "c"
    assert names(postgres_database) == ["a", "c"]
    await writer.close()
