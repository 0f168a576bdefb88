"""Times as people type them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.cli.framework.moment import parse_duration, parse_moment, show_moment, zone_name
from app.errors import InvalidInputError

NOW = datetime(2026, 11, 22, 13, 2, 7, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is in Madrid: one hour before UTC in winter, two in summer."""
    monkeypatch.setenv("TZ", "Europe/Madrid")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), ("2w", 1209600), ("1h30m", 5400), (" 1.5H ", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_moment(text, NOW, "--since") == NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "15", "15 m", "-15m", "1y", "m15", "9999999s", "1h30"])
def test_what_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", NOW),
        ("14:02", datetime(2026, 11, 22, 13, 2, tzinfo=UTC)),
        ("14:02:07", datetime(2026, 11, 22, 13, 2, 7, tzinfo=UTC)),
        ("9:30", datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
        ("14:03", datetime(2026, 11, 21, 13, 3, tzinfo=UTC)),  # not yet: it was yesterday
        ("2026-11-22", datetime(2026, 11, 21, 23, 0, tzinfo=UTC)),
        ("2026-11-22T14:02", datetime(2026, 11, 22, 13, 2, tzinfo=UTC)),
        ("2026-07-01 14:02", datetime(2026, 7, 1, 12, 2, tzinfo=UTC)),
        ("2026-11-22T14:02:00Z", datetime(2026, 11, 22, 14, 2, tzinfo=UTC)),
        ("2026-11-22T14:02:00-05:00", datetime(2026, 11, 22, 19, 2, tzinfo=UTC)),
        ("today", datetime(2026, 11, 21, 23, 0, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 20, 23, 0, tzinfo=UTC)),
        ("yesterday 14:02", datetime(2026, 11, 21, 13, 2, tzinfo=UTC)),
        ("yesterday at 9:30", datetime(2026, 11, 21, 8, 30, tzinfo=UTC)),
        ("sunday", datetime(2026, 11, 21, 23, 0, tzinfo=UTC)),  # which it is
        ("monday", datetime(2026, 11, 15, 23, 0, tzinfo=UTC)),
        ("saturday 08:00", datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
        ("2 hours ago", NOW - timedelta(hours=2)),
        ("an hour ago", NOW - timedelta(hours=1)),
        ("last week", NOW - timedelta(days=7)),
        ("3 days ago", NOW - timedelta(days=3)),
    ],
)
def test_instants_without_a_zone_are_of_this_machine(text: str, instant: datetime) -> None:
    assert parse_moment(text, NOW, "--since") == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "yesterday noon",
        "yesterday 25:00",
        "2 hours",
        "ago",
        "9999999 days ago",
        "25:00",
        "14:60",
        "2026-13-01",
        "0001-01-01T00:00",
        "9" * 400,
        "1e9",
    ],
)
def test_what_is_no_instant_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_moment(text, NOW, "--since")
    (problem,) = refused.value.problems
    assert problem.path == "--since"
    assert problem.message.startswith("must be a time ago such as 90s, 15m, 24h, 7d, 1h30m or '2 hours ago', a time of")


def test_instants_are_shown_in_the_zone_of_this_machine() -> None:
    assert show_moment(NOW) == "2026-11-22 14:02:07"
    assert show_moment(NOW, milliseconds=True) == "2026-11-22 14:02:07.123"
    assert show_moment(None) == ""
    assert zone_name(NOW) == "CET"


def test_a_day_by_name_begins_at_midnight_also_where_the_clocks_were_changed_since() -> None:
    # In Madrid summer time ended on Sunday, 25 October 2026, at 03:00.
    monday = datetime(2026, 10, 26, 9, 0, tzinfo=UTC)
    assert parse_moment("yesterday", monday, "--since") == datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    assert parse_moment("saturday 12:00", monday, "--since") == datetime(2026, 10, 24, 10, 0, tzinfo=UTC)
