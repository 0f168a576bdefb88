"""When a routing rule is in force: its `active_hours`, on the wall clock of its `timezone`, with its `holidays`.

The wall clock decides, so a change to or from daylight-saving time needs nothing special: the hour that is skipped in
spring never comes, the hour that is repeated in autumn is judged the same twice.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from app.errors import InvalidInputError, Problem
from app.rules.conditions.hours.clauses import OpeningHours, State
from app.rules.conditions.hours.evaluation import DayPlan, Schedule
from app.rules.conditions.hours.lexer import HoursError
from app.rules.conditions.hours.parser import parse
from app.rules.conditions.hours.public_holidays import NoHolidays, PublicHolidayCalendar, check_holidays
from app.rules.conditions.hours.spelling import suggest
from app.rules.conditions.timezones import check_timezone
from app.translation import translatable

LONGEST_EXPRESSION: Final = 1000  # characters; the slowest values of this length take some milliseconds for a new day
_EXAMPLE: Final = "Mo-Fr 09:00-18:00; PH off"


class ActiveHours:
    """The hours of one rule, parsed once; the plan of the latest day is kept, as events come in the order of time."""

    __slots__ = ("_hours", "_latest", "_schedule", "_zone")

    def __init__(self, hours: OpeningHours, zone: ZoneInfo, holidays: str | None) -> None:
        self._hours = hours
        self._zone = zone
        self._schedule = Schedule(hours, PublicHolidayCalendar(holidays) if holidays else NoHolidays())
        # Day and plan in one tuple, replaced whole: threads may ask the same object.
        self._latest: tuple[date, DayPlan] | None = None

    def covers(self, instant: datetime) -> bool:
        """Return whether the rule is in force at `instant`, which must be timezone-aware."""
        if instant.tzinfo is None:
            raise ValueError(translatable("an instant needs a time zone"))
        local = instant.astimezone(self._zone)
        day = local.date()
        latest = self._latest
        if latest is None or latest[0] != day:
            latest = self._latest = (day, self._schedule.plan(day))
        return latest[1].state_at(local.hour * 60 + local.minute) is State.OPEN

    @property
    def can_open(self) -> bool:
        """Whether the rule could be in force at some moment."""
        return self._hours.can_open

    def __str__(self) -> str:
        return f"{self._hours} ({self._zone.key})"


@lru_cache(maxsize=4096)
def parse_hours(expression: str, timezone: str, holidays: str | None) -> ActiveHours:
    """Return the hours that `expression` means in `timezone`, with the public holidays of `holidays`.

    Raises InvalidInputError with every problem; paths are the columns `active_hours`, `timezone`, `holidays`.
    """
    problems = check_timezone(timezone) + check_holidays(holidays)
    hours, found = _read(expression)
    problems += found
    if hours is not None:
        problems += _missing_country(hours, holidays)
    if hours is None or problems:
        raise InvalidInputError(translatable("these hours cannot be used"), problems)
    return ActiveHours(hours, ZoneInfo(timezone), holidays)


def check_hours(expression: str, holidays: str | None) -> list[Problem]:
    """Return what is wrong with `expression`, given the country or region in `holidays`."""
    hours, problems = _read(expression)
    return list(problems) if hours is None else _missing_country(hours, holidays)


@lru_cache(maxsize=4096)
def _read(expression: str) -> tuple[OpeningHours | None, tuple[Problem, ...]]:
    if len(expression) > LONGEST_EXPRESSION:
        message = translatable(
            "at most %(most)s characters are allowed, found %(count)s", most=LONGEST_EXPRESSION, count=len(expression)
        )
        return None, (Problem("active_hours", message, found=expression[:40] + "…"),)
    try:
        return parse(expression), ()
    except HoursError as error:
        return None, (_as_problem(expression, error),)


def _as_problem(expression: str, error: HoursError) -> Problem:
    rest = expression[error.at :].strip()[:20]
    place = (
        translatable("at character %(number)s (%(rest)s)", number=error.at + 1, rest=repr(rest))
        if rest
        else translatable("at its end")
    )
    suggestion = suggest(expression)
    if not error.is_syntax:
        message = translatable("cannot be used %(place)s: %(message)s", place=place, message=error.message)
    else:
        message = translatable(
            "is not in OpenStreetMap's opening-hours syntax %(place)s: %(message)s", place=place, message=error.message
        )
    if suggestion is None and "such as" not in error.message and "write" not in error.message:
        message = translatable("%(message)s; write for example %(example)s", message=message, example=_EXAMPLE)
    return Problem("active_hours", message, found=expression, suggestion=suggestion)


def _missing_country(hours: OpeningHours, holidays: str | None) -> list[Problem]:
    if holidays is not None or not hours.has_holidays:
        return []
    message = translatable(
        "is needed because active_hours speaks of PH (public holidays); write a country or region, such as ES"
    )
    return [Problem("holidays", message)]
