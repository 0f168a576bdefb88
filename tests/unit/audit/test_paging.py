"""Cursors, and ids as instants."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.audit.lists.paging import decode_cursor, encode_cursor
from app.clock import SystemClock, date_ids_by, new_id
from app.db.record_ids import instant_of_id, lowest_id_at
from app.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class SetClock:
    shown: datetime

    def now(self) -> datetime:
        return self.shown

    def monotonic(self) -> float:
        return 0.0


INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_a_cursor_gives_back_its_id(identity: str) -> None:
    assert decode_cursor(encode_cursor(identity)) == identity


@given(st.text(max_size=60))
def test_no_text_from_outside_breaks_the_reading_of_cursors(text: str) -> None:
    outcome: object = None
    try:
        outcome = decode_cursor(text)
    except InvalidInputError as error:
        outcome = error.problems[0].path == "cursor"
    assert outcome


@given(INSTANTS, INSTANTS)
def test_ids_sort_as_their_instants(one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    assert lowest_id_at(first) <= lowest_id_at(second)
    made = instant_of_id(lowest_id_at(one))
    assert made is not None
    assert abs(made - one) < timedelta(milliseconds=2)


def test_our_ids_contain_the_time_of_their_creation() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    identity = new_id()
    after = datetime.now(UTC) + timedelta(milliseconds=2)
    assert lowest_id_at(before) < identity < lowest_id_at(after)
    made = instant_of_id(identity)
    assert made is not None
    assert before <= made <= after


def test_our_ids_go_by_the_clock_that_replicas_share() -> None:
    noon = datetime(2027, 1, 1, 12, 0, tzinfo=UTC)
    date_ids_by(SetClock(noon))
    try:
        assert instant_of_id(new_id()) == noon
    finally:
        date_ids_by(SystemClock())
    now = datetime.now(UTC)
    assert abs((instant_of_id(new_id()) or noon) - now) < timedelta(minutes=1)


def test_our_ids_are_short_and_safe_in_urls_and_shells() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-v]{13}", new_id())


def test_ids_of_many_threads_differ_and_each_thread_gets_them_in_order() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [new_id() for _ in range(2_000)], range(8)))
    assert all(ids == sorted(ids) for ids in made)
    assert len({identity for ids in made for identity in ids}) == 16_000


@given(INSTANTS, st.integers(-3, 3), st.integers(0, 2**62 - 1))
@example(datetime(6326, 1, 1, microsecond=992, tzinfo=UTC), 0, 0)
@example(datetime(2026, 11, 26, 16, 48, 25, 57_000, tzinfo=UTC), 0, 0)
def test_ids_of_both_forms_sort_by_their_millisecond(instant: datetime, later: int, number: int) -> None:
    milliseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    uuid = str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | number))
    other = lowest_id_at(instant + timedelta(milliseconds=later)) + "0123456v0"
    assert (other > uuid) is (later >= 0)
    assert lowest_id_at(instant) < uuid < lowest_id_at(instant + timedelta(milliseconds=1))
    assert instant_of_id(uuid) == instant_of_id(lowest_id_at(instant)) == instant_of_id(lowest_id_at(instant) + "v" * 9)


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "x",
        "5f0c9f7e-7f5e-4c39-9d6d-0b8b1a4a8d0e",
        "01a216eb-3c5d0123456vw",
        "01a216eb-3c5d0123456w0",
        "01a216eb-3c5d 12345670",
        "e677d21f-dc00012345678",  # in the year 10000
        "ffffffff-ffff",
    ],
)
def test_other_ids_have_no_instant(identity: str) -> None:
    assert instant_of_id(identity) is None
