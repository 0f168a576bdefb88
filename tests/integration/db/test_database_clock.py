"""The database's clock, on a machine whose own clock is wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from app.clock import SystemClock
from app.db.database_clock import DatabaseClock, clock_of, machine_ahead_s
from tests.conftest import Database

NEAR_S = 2.0


class WrongClock:
    """The clock of a machine: its date is off, and its monotonic clock may stand still for a while."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead = timedelta(seconds=ahead_s)
        self.paused_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() - self.paused_s


def difference(clock: DatabaseClock, connection: Connection) -> float:
    shown: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return abs((clock.now() - shown).total_seconds())


@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
def test_it_is_the_databases_whatever_the_machine_shows(postgres_database: Database, ahead_s: float) -> None:
    machine = WrongClock(ahead_s)
    with postgres_database.reader_engine().connect() as connection:
        clock = DatabaseClock(connection, machine)
        assert difference(clock, connection) < NEAR_S
        assert machine_ahead_s(clock) == pytest.approx(ahead_s, abs=NEAR_S)

        # When the machine's clock is set
        machine.ahead = timedelta(seconds=3)
        assert difference(clock, connection) < NEAR_S
        assert machine_ahead_s(clock) == pytest.approx(3, abs=NEAR_S)


def test_a_machine_that_was_paused_is_right_after_a_measurement(postgres_database: Database) -> None:
    machine = WrongClock(0)
    with postgres_database.reader_engine().connect() as connection:
        clock = DatabaseClock(connection, machine)
        machine.paused_s = 60.0
        assert difference(clock, connection) > 60 - NEAR_S
        clock.measure(connection)
        assert difference(clock, connection) < NEAR_S


def test_small_differences_do_not_move_it(postgres_database: Database) -> None:
    machine = WrongClock(0)
    with postgres_database.reader_engine().connect() as connection:
        clock = DatabaseClock(connection, machine)
        before = clock.now().timestamp() - machine.monotonic()
        for _ in range(20):
            clock.measure(connection)
        assert clock.now().timestamp() - machine.monotonic() == pytest.approx(before, abs=0.5)


def test_a_file_of_this_machine_goes_by_its_clock(sqlite_database: Database) -> None:
    clock = clock_of(sqlite_database.reader_engine())
    assert isinstance(clock, SystemClock)
    assert machine_ahead_s(clock) == 0
