"""A flood of refusals is a few rows, and no refusal is lost without a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from app.accounts.access_log import AccessEntry
from app.db.types import AccessKind
from app.errors import DatabaseUnavailableError
from app.flows.context import Defects
from app.metrics import Metrics
from app.server.access import access_recorder
from app.server.access.access_recorder import AccessRecorder
from tests.conftest import StillClock


class Rows:
    """What would be written; `fails` makes the database refuse."""

    def __init__(self) -> None:
        self.written: list[AccessEntry] = []
        self.fails = False

    async def write(self, unit: Callable[..., None]) -> None:
        if self.fails:
            raise DatabaseUnavailableError("no database")
        self.written += cast("Any", unit).keywords["entries"]


def recorder(rows: Rows, clock: StillClock) -> AccessRecorder:
    return AccessRecorder(clock, rows.write, Defects(Metrics(), clock))


def failed(address: str = "192.0.2.1", name: str = "eva") -> AccessEntry:
    return AccessEntry(AccessKind.LOGIN_FAILED, name, address)


async def test_equal_entries_of_a_minute_are_two_rows(clock: StillClock) -> None:
    rows = Rows()
    log = recorder(rows, clock)
    log.note(failed())
    await log.run_once()
    assert [row.count for row in rows.written] == [1]
    for _ in range(1000):
        log.note(failed())
    await log.run_once()
    assert len(rows.written) == 1, "not again within the minute"
    clock.advance(access_recorder.EQUAL_WITHIN_S)
    await log.run_once()
    assert [row.count for row in rows.written] == [1, 1000]


async def test_a_flood_from_anywhere_is_bounded_and_counted(clock: StillClock) -> None:
    rows = Rows()
    log = recorder(rows, clock)
    for index in range(5000):
        log.note(failed(f"198.51.{index // 250}.{index % 250}"))
    await log.run_once()
    clock.advance(access_recorder.EQUAL_WITHIN_S)
    await log.run_once()
    assert len(rows.written) == access_recorder.MAX_DIFFERENT + 1
    assert sum(row.count for row in rows.written) == 5000
    clock.advance(access_recorder.EQUAL_WITHIN_S)
    await log.run_once()
    log.note(failed("203.0.113.1"))
    await log.run_once()
    assert rows.written[-1].address == "203.0.113.1", "there is room again"


async def test_one_address_cannot_fill_the_log_for_all(clock: StillClock) -> None:
    rows = Rows()
    log = recorder(rows, clock)
    for index in range(5000):
        log.note(failed(name=f"user {index}"))
    log.note(failed("203.0.113.1"))
    await log.run_once()
    assert len(rows.written) == access_recorder.MAX_PER_ADDRESS + 1


@pytest.mark.parametrize("stops", [True, False])
async def test_what_the_database_refuses_is_counted_later(clock: StillClock, stops: bool) -> None:
    rows = Rows()
    log = recorder(rows, clock)
    rows.fails = True
    log.note(failed())
    with pytest.raises(DatabaseUnavailableError):
        await log.run_once()
    rows.fails = False
    clock.advance(access_recorder.EQUAL_WITHIN_S)
    await (log.run_once(everything=True) if stops else log.run_once())
    assert [(row.kind, row.count) for row in rows.written] == [(AccessKind.LOGIN_FAILED, 1)]
