"""Replicas on PostgreSQL whose transactions hold several units of work that need the same rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.db.tables import rule_editor
from app.db.transaction import SHARED_WAIT_MS
from app.db.writer import Writer
from app.errors import LockHeldError
from tests.conftest import Database

_LOCK = text("SELECT name FROM rule_editor WHERE name = :name FOR UPDATE")
ROWS = ("one", "other")
PATIENT_MS = 3000


@pytest.fixture
async def replicas(postgres_database: Database) -> AsyncIterator[tuple[Writer, Writer]]:
    with postgres_database.writer_engine().begin() as connection:
        connection.execute(rule_editor.insert(), [{"name": name} for name in ROWS])
    writers = (Writer(postgres_database.writer_engine()), Writer(postgres_database.writer_engine()))
    yield writers
    for writer in writers:
        await writer.close()


def locking(name: str, errors: list[str], before: Callable[[], object] = lambda: None) -> Callable[[Connection], str]:
    """Return a unit that locks the row `name`, after `before`, and adds the SQLSTATE to `errors` if it cannot."""

    def unit(connection: Connection) -> str:
        before()
        try:
            connection.execute(_LOCK, {"name": name})
        except DBAPIError as error:
            errors.append(getattr(error.orig, "sqlstate", None) or "")
            raise
        return name

    return unit


def lock_timeout_ms(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'").scalar_one())


async def test_replicas_whose_units_need_rows_in_opposite_order_do_not_deadlock(
    replicas: tuple[Writer, Writer],
) -> None:
    errors: list[str] = []
    both_hold_one = threading.Barrier(2)
    met = threading.Event()

    def meet() -> None:
        if not met.is_set():  # only the first transaction of each waits for that of the other
            both_hold_one.wait(60)
            met.set()

    orders = (ROWS, ROWS[::-1])
    results = await asyncio.gather(
        *(
            writer.run(locking(name, errors, meet if place else lambda: None))
            for writer, order in zip(replicas, orders, strict=True)
            for place, name in enumerate(order)
        )
    )
    assert results == ["one", "other", "other", "one"]
    assert "40P01" not in errors, "PostgreSQL broke a deadlock, after a second in which both stood still"
    assert errors, "they did not wait for each other, and the test proves nothing"


async def test_items_of_a_handler_are_given_together_although_other_units_came_between(
    replicas: tuple[Writer, Writer],
) -> None:
    given: list[Sequence[str]] = []

    def handler(_connection: Connection, items: Sequence[str]) -> Sequence[str]:
        given.append(items)
        return items

    writer, _ = replicas
    await asyncio.gather(writer.run_batched(handler, "a"), writer.run(lambda _: None), writer.run_batched(handler, "b"))
    assert given == [["a", "b"]], "two replicas could insert the same events in another order each"


async def test_a_row_that_somebody_has_locked_costs_only_the_unit_that_needs_it(
    replicas: tuple[Writer, Writer], postgres_database: Database
) -> None:
    def lock_all(connection: Connection, names: Sequence[str]) -> Sequence[str]:
        for name in names:
            locking(name, errors)(connection)
        return names

    errors: list[str] = []
    writer, _ = replicas
    assert await writer.run(lock_timeout_ms) == PATIENT_MS
    with postgres_database.writer_engine().connect() as shell:
        shell.execute(_LOCK, {"name": "one"})
        held, *others = await asyncio.gather(
            writer.run_batched(lock_all, "one"),
            writer.run_batched(lock_all, "other"),
            writer.run(locking("other", errors)),
            return_exceptions=True,
        )
        shell.rollback()
    assert isinstance(held, LockHeldError)
    assert others == ["other", "other"]
    assert writer.trouble() == ""
    assert await writer.run(lock_timeout_ms) == SHARED_WAIT_MS, "each unit that needs the row would stop all for 3 s"
    assert await writer.run_batched(lock_all, "one") == "one"


async def test_what_is_committed_does_not_run_again_beside_what_waits_in_vain(
    replicas: tuple[Writer, Writer], postgres_database: Database
) -> None:
    def lock_if_run_again(connection: Connection) -> None:
        if runs:
            connection.execute(_LOCK, {"name": "one"})
        runs.append("held")

    def fail(_connection: Connection) -> None:
        raise ValueError

    def insert(connection: Connection) -> None:
        connection.execute(rule_editor.insert(), {"name": "new"})
        runs.append("inserted")

    runs: list[str] = []
    writer, _ = replicas
    with postgres_database.writer_engine().connect() as shell:
        shell.execute(_LOCK, {"name": "one"})
        # The second fails all three; then each runs alone, where the first one waits for the shell
        results = await asyncio.gather(
            writer.run(lock_if_run_again), writer.run(fail), writer.run(insert), return_exceptions=True
        )
        shell.rollback()
    assert [type(one) for one in results] == [LockHeldError, ValueError, type(None)]
    assert runs == ["held", "inserted"]


async def test_only_a_transaction_of_several_handlers_waits_briefly(replicas: tuple[Writer, Writer]) -> None:
    writer, _ = replicas
    assert await writer.run(lock_timeout_ms) == PATIENT_MS
    assert await asyncio.gather(*(writer.run(lock_timeout_ms) for _ in range(2))) == [SHARED_WAIT_MS] * 2
