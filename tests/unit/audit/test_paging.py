"""Cursors, and ids as instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.lists.paging import decode_cursor, encode_cursor
from app.clock import new_id
from app.db.record_ids import instant_of_id, lowest_id_at
from app.errors import InvalidInputError

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


@pytest.mark.parametrize("identity", ["", "x", "5f0c9f7e-7f5e-4c39-9d6d-0b8b1a4a8d0e"])
def test_other_ids_have_no_instant(identity: str) -> None:
    assert instant_of_id(identity) is None
