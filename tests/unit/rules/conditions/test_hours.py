"""Active hours: zones, daylight-saving changes, midnight, public holidays, mistakes, hostile expressions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidInputError
from app.rules.conditions.hours import (
    LONGEST_EXPRESSION,
    check_holidays,
    check_hours,
    check_timezone,
    known_countries,
    parse_hours,
)

MADRID = ZoneInfo("Europe/Madrid")
YEARS = datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2060-01-01")


def local(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MADRID, fold=fold)


@pytest.mark.parametrize(
    ("expression", "instant", "covered"),
    [
        # 2026-11-23 is a Monday.
        ("Mo-Fr 09:00-18:00", "2026-11-23T08:59:59.999999", False),
        ("Mo-Fr 09:00-18:00", "2026-11-23T09:00", True),
        ("Mo-Fr 09:00-18:00", "2026-11-23T17:59:59", True),
        ("Mo-Fr 09:00-18:00", "2026-11-23T18:00", False),
        ("Mo-Fr 09:00-18:00", "2026-11-22T12:00", False),
        # Across midnight, also into the next week.
        ("Mo-Fr 22:00-06:00", "2026-11-23T23:30", True),
        ("Mo-Fr 22:00-06:00", "2026-11-24T05:59", True),
        ("Mo-Fr 22:00-06:00", "2026-11-28T03:00", True),
        ("Mo-Fr 22:00-06:00", "2026-11-29T03:00", False),
        ("Fr 22:00-30:00", "2026-11-28T05:59", True),
        # New Year's Eve into the next year.
        ("Dec 31 20:00-04:00", "2027-01-01T03:59", True),
        ("Dec 31 20:00-04:00", "2027-01-01T04:00", False),
        # Public holidays of Spain: Immaculate Conception (a Tuesday in 2026), Christmas; an ordinary Tuesday.
        ("Mo-Fr 09:00-18:00; PH off", "2026-12-08T10:00", False),
        ("Mo-Fr 09:00-18:00; PH off", "2026-12-25T10:00", False),
        ("Mo-Fr 09:00-18:00; PH off", "2026-12-15T10:00", True),
        ("Mo-Fr 09:00-18:00; PH 10:00-12:00", "2026-12-25T11:00", True),
        ("Mo-Fr 09:00-18:00; PH 10:00-12:00", "2026-12-25T13:00", False),
        # Easter moves with the year.
        ("Mo-Fr 09:00-18:00; easter -2 days off", "2027-03-26T10:00", False),
        ("24/7 off", "2026-11-23T12:00", False),
        ("24/7 unknown", "2026-11-23T12:00", False),
        ('Mo-Fr 09:00-18:00 open "sunset crew, SH and PH"', "2026-11-23T12:00", True),
        ('Mo-Fr 09:00-18:00 "sunset crew, SH and PH"', "2026-11-23T12:00", False),
    ],
)
def test_hours_on_the_wall_clock(expression: str, instant: str, covered: bool) -> None:
    assert parse_hours(expression, "Europe/Madrid", "ES").covers(local(instant)) is covered


def test_holidays_are_those_of_the_country() -> None:
    independence_day = datetime(2026, 7, 3, 15, tzinfo=UTC), datetime(2026, 7, 14, 10, tzinfo=UTC)
    american = parse_hours("24/7; PH off", "UTC", "US")
    french = parse_hours("24/7; PH off", "UTC", "FR")
    assert [american.covers(instant) for instant in independence_day] == [False, True]
    assert [french.covers(instant) for instant in independence_day] == [True, False]


@pytest.mark.parametrize(
    ("code", "day", "is_holiday"),
    [
        # Missing from the data that Usher used before: New Year's Day in GB, holidays that fall on a weekend.
        ("GB", "2027-01-01", True),
        ("GB", "2027-12-25", True),
        ("GB", "2027-12-27", True),  # observed
        ("US", "2026-07-04", True),
        ("US", "2026-07-03", True),  # observed
        ("US", "2027-12-25", True),
        ("AU", "2027-12-25", True),
        ("AU", "2026-12-28", True),  # observed in every state
        ("AU", "2026-11-03", False),  # in Victoria only
        ("AU-VIC", "2026-11-03", True),
        ("NZ", "2027-12-25", True),
        ("ES", "2026-11-01", True),  # a Sunday, which the library leaves out of the observed days
        ("ES", "2026-11-02", False),
        # Regions.
        ("DE", "2027-01-06", False),
        ("DE-BY", "2027-01-06", True),
        ("DE-BE", "2027-03-08", True),
        ("GB", "2026-11-30", False),
        ("GB-SCT", "2026-11-30", True),
    ],
)
def test_public_holidays(code: str, day: str, is_holiday: bool) -> None:
    at_noon = datetime.fromisoformat(f"{day}T12:00Z")
    assert parse_hours("24/7; PH off", "UTC", code).covers(at_noon) is not is_holiday
    assert parse_hours("PH", "UTC", code).covers(at_noon) is is_holiday


def test_the_hour_repeated_in_autumn_counts_twice() -> None:
    # 2026-10-25, 03:00 becomes 02:00.
    hours = parse_hours("Su 02:00-02:30", "Europe/Madrid", None)
    assert hours.covers(local("2026-10-25T02:15", fold=0))
    assert not hours.covers(local("2026-10-25T02:45", fold=0))
    assert hours.covers(local("2026-10-25T02:15", fold=1))
    minutes = [datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(minutes=n) for n in range(24 * 60)]
    assert sum(map(hours.covers, minutes)) == 60


def test_the_hour_skipped_in_spring_never_comes() -> None:
    # 2026-03-29, 02:00 becomes 03:00.
    inside = parse_hours("Su 02:00-03:00", "Europe/Madrid", None)
    around = parse_hours("Su 01:00-04:00", "Europe/Madrid", None)
    minutes = [datetime(2026, 3, 28, 22, tzinfo=UTC) + timedelta(minutes=n) for n in range(24 * 60)]
    assert sum(map(inside.covers, minutes)) == 0
    assert sum(map(around.covers, minutes)) == 120
    assert around.covers(datetime(2026, 3, 29, 0, 59, tzinfo=UTC))
    assert around.covers(datetime(2026, 3, 29, 1, 59, tzinfo=UTC))
    assert not around.covers(datetime(2026, 3, 29, 2, 0, tzinfo=UTC))


def test_opening_follows_the_change_of_the_clock() -> None:
    hours = parse_hours("09:00-18:00", "Europe/Madrid", None)
    assert hours.covers(datetime(2026, 10, 24, 7, 0, tzinfo=UTC))  # 09:00 summer time
    assert not hours.covers(datetime(2026, 10, 25, 7, 0, tzinfo=UTC))  # 08:00 winter time
    assert hours.covers(datetime(2026, 10, 25, 8, 0, tzinfo=UTC))


@settings(deadline=None)
@given(
    st.datetimes(*YEARS, timezones=st.just(UTC)),
    st.sampled_from(["Europe/Madrid", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.integers(-14, 14),
)
def test_only_the_instant_counts_not_the_zone_it_is_written_in(instant: datetime, zone: str, offset: int) -> None:
    hours = parse_hours("Mo-Fr 08:30-17:15,22:00-02:00", zone, None)
    same_instant = instant.astimezone(timezone(timedelta(hours=offset)))
    wall_clock = instant.astimezone(ZoneInfo(zone))
    minute = wall_clock.hour * 60 + wall_clock.minute
    weekday, day_before = wall_clock.weekday(), (wall_clock.weekday() - 1) % 7
    expected = (weekday < 5 and (510 <= minute < 1035 or minute >= 1320)) or (day_before < 5 and minute < 120)
    assert hours.covers(instant) is expected
    assert hours.covers(same_instant) is expected


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        parse_hours("24/7", "UTC", None).covers(datetime(2026, 11, 22))  # noqa: DTZ001 - the point


def test_hours_are_parsed_once() -> None:
    assert parse_hours("Mo 10:00-11:00", "UTC", "ES") is parse_hours("Mo 10:00-11:00", "UTC", "ES")


@pytest.mark.parametrize(
    ("expression", "message", "suggestion"),
    [
        ("", "at its end", None),
        ("Mo-Fr 9-18", "at character 7 ('9-18')", "Mo-Fr 09:00-18:00"),
        ("Mo–Fr 9.00–18.00;", "opening-hours syntax", "Mo-Fr 09:00-18:00"),
        ("mo-fr 09h30-18h00", "opening-hours syntax", "Mo-Fr 09:30-18:00"),
        ("Montag 10:00-12:00", "at character 1 ('Montag 10:00-12:00')", None),
        ("always", "opening-hours syntax", "24/7"),
        ("sunrise-sunset", "needs a place on earth", None),
        ("Mo-Fr (dusk-01:00)-23:00", "needs a place on earth", None),
        ("Mo-Fr 09:00-18:00; SH off", "school holidays", None),
        ("Feb 30 10:00-12:00", "Feb 30 does not exist", None),
        ("Feb 20-31", "Feb 31 does not exist", None),
        ("Apr 31", "Apr 31 does not exist", None),
        ("x" * (LONGEST_EXPRESSION + 1), "at most 1000 characters", None),
    ],
)
def test_mistakes_in_hours(expression: str, message: str, suggestion: str | None) -> None:
    (problem,) = check_hours(expression, "ES")
    assert problem.path == "active_hours"
    assert message in problem.message
    assert problem.suggestion == suggestion


def test_public_holidays_need_a_country() -> None:
    (problem,) = check_hours("Mo-Fr 09:00-18:00; PH off", None)
    assert (problem.path, "PH" in problem.message) == ("holidays", True)
    assert check_hours("Mo-Fr 09:00-18:00; PH off", "ES") == []


@pytest.mark.parametrize(
    ("zone", "suggestion"),
    [
        ("europe/madrid", "Europe/Madrid"),
        ("Europe/Madird", "Europe/Madrid"),
        ("Madrid", "Europe/Madrid"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
        ("Mars/Olympus", None),
        ("../../etc/passwd", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_mistakes_in_zones(zone: str, suggestion: str | None) -> None:
    (problem,) = check_timezone(zone)
    assert (problem.path, problem.suggestion) == ("timezone", suggestion)


@pytest.mark.parametrize(
    ("code", "suggestion"),
    [
        ("es", "ES"),
        ("UK", "GB"),
        ("ESP", "ES"),
        ("es-ct", "ES-CT"),
        ("ES_CT", "ES-CT"),
        ("UK-SCT", "GB-SCT"),
        ("DE-XX", "DE"),
        ("DE-", "DE"),
        ("FR-IDF", "FR"),
        ("Spain", None),
        ("ZZ", None),
        ("ZZ-BY", None),
        ("", None),
    ],
)
def test_mistakes_in_countries(code: str, suggestion: str | None) -> None:
    (problem,) = check_holidays(code)
    assert (problem.path, problem.suggestion) == ("holidays", suggestion)
    for known in (None, "ES", "ES-CT", "DE-BY", "GB-ENG", "US-NY"):
        assert check_holidays(known) == []
    assert {"ES", "GB", "US", "DE", "FR"} <= known_countries()


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_hours("9-18", "Madrid", "Spain")
    assert [problem.path for problem in raised.value.problems] == ["timezone", "holidays", "active_hours"]
    with pytest.raises(InvalidInputError) as raised:
        parse_hours("PH off", "UTC", None)
    assert [problem.path for problem in raised.value.problems] == ["holidays"]


@pytest.mark.parametrize(
    "expression",
    [
        "1900-2000 Mo 10:00-12:00",  # the library's next_change takes 0.6 s for this one
        ";".join(["Feb 29 Mo[5] 10:00-10:01"] * 40)[:LONGEST_EXPRESSION],
        ";".join(["10:00-16:00/00:01"] * 55),
        ",".join(["10:00-11:00"] * 80),
        "week 01-53/2 Mo[5] -3 days 00:00-48:00",
        "2000-9999/7 easter +40 days 10:00+",
        "(" * LONGEST_EXPRESSION,
        '"' + "x" * (LONGEST_EXPRESSION - 2) + '"',
        "Mo," * 300 + "Mo",
    ],
)
def test_hostile_expressions_are_refused_or_answered(expression: str) -> None:
    if not check_hours(expression, "ES"):
        hours = parse_hours(expression, "Europe/Madrid", "ES")
        for day in range(100):
            hours.covers(datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=37 * day))


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("MoTuFrSaJanFeb0123456789:-;,/+[]() PHoffweek|\"'"), max_size=60))
def test_any_text_is_parsed_or_refused(expression: str) -> None:
    if not check_hours(expression, "ES"):
        hours = parse_hours(expression, "UTC", "ES")
        assert hours.covers(datetime(2026, 2, 28, 23, 59, tzinfo=UTC)) in {True, False}
