"""Opening hours as rows of a form mean what the rows say, and are read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.conditions.hours import parse_hours
from app.rules.conditions.hours.weekly_hours import HoursRow, WeeklyHours, hours_text, mistakes_of, weekly_hours

WORKDAYS = (0, 1, 2, 3, 4)
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "rows", "closed"),
    [
        ("Mo-Fr 09:00-18:00", [(WORKDAYS, "09:00", "18:00")], False),
        ("Mo-Fr 09:00-18:00; PH off", [(WORKDAYS, "09:00", "18:00")], True),
        ("Sa,Su 10:00-24:00", [((5, 6), "10:00", "24:00")], False),
        (
            "Mo-Fr 09:00-13:00,14:00-18:00; Sa 10:00-14:00",
            [(WORKDAYS, "09:00", "13:00"), (WORKDAYS, "14:00", "18:00"), ((5,), "10:00", "14:00")],
            False,
        ),
        ("Mo-We,Fr 22:00-06:00", [((0, 1, 2, 4), "22:00", "06:00")], False),
        ("Mo 22:00-06:00, Tu 08:00-10:00", [((0,), "22:00", "06:00"), ((1,), "08:00", "10:00")], False),
    ],
)
def test_a_text_is_read_as_rows_and_written_back(
    text: str, rows: list[tuple[tuple[int, ...], str, str]], closed: bool
) -> None:
    expected = WeeklyHours(tuple(HoursRow(*row) for row in rows), closed)
    assert weekly_hours(text) == expected
    assert hours_text(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "24/7", "", "PH off", "09:00-18:00", "Mo-Fr 9:00-18:00", "Mo-Fr 09:00-18:00; Dec 24 off",
        "Mo-Fr 09:00-18:00; Fr 09:00-15:00", "Mo 22:00-06:00; Tu 08:00-10:00", "Fr-Mo 10:00-12:00", "Mo 17:00+",
        "Mo,Mo 10:00-12:00", "Mo 10:00-26:00", 'Mo 10:00-12:00 "x"', "PH 10:00-12:00", "Mo 09:00-10:00, 11:00-12:00",
        "Mo-Fr 09:00-09:00",
        "Sa 10:00-12:00,14:00-14:00",
    ],
)  # fmt: skip
def test_what_rows_cannot_say_stays_a_text(text: str) -> None:
    assert weekly_hours(text) is None


def test_no_rows_are_no_text() -> None:
    assert hours_text(WeeklyHours()) == ""
    assert hours_text(WeeklyHours(closed_on_holidays=True)) == ""


def test_mistakes_are_named_with_their_row() -> None:
    rows = [
        HoursRow((), "09:00", "18:00"),
        HoursRow((0,), "9", "18:00"),
        HoursRow((0,), "09:00", "09:00"),
        HoursRow((0,), "00:00", "24:00"),
    ]
    assert mistakes_of(rows) == [
        "hours 1 name no day",
        "hours 2 need a time from 00:00 to 23:59 and one until when",
        "hours 3 begin and end at the same time; from 00:00 to 24:00 is the whole day",
    ]


times = st.sampled_from(["00:00", "06:00", "09:00", "13:30", "18:00", "22:00"])
row_lists = st.lists(
    st.builds(
        HoursRow,
        st.sets(st.integers(0, 6), min_size=1, max_size=5).map(lambda days: tuple(sorted(days))),
        times,
        times | st.just("24:00"),
    ).filter(lambda row: row.start != row.end),
    min_size=1,
    max_size=4,
)


def minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def is_open(rows: list[HoursRow], at: int) -> bool:
    """Return whether a row covers a minute of the week, or one of the day before."""
    for row in rows:
        for day in row.days:
            start, end = day * 1440 + minutes(row.start), day * 1440 + minutes(row.end)
            end += 1440 if row.is_overnight else 0
            if start <= at < end or start <= at + 7 * 1440 < end:
                return True
    return False


@settings(max_examples=150, deadline=None)
@given(row_lists)
def test_rows_mean_what_they_say_on_every_quarter_of_an_hour(rows: list[HoursRow]) -> None:
    text = hours_text(WeeklyHours(tuple(rows)))
    hours = parse_hours(text, "UTC", None)
    for at in range(0, 7 * 1440, 30):
        assert hours.covers(MONDAY + timedelta(minutes=at)) == is_open(rows, at), (text, at)
    again = weekly_hours(text)
    assert again is not None
    assert hours_text(again) == text
