"""Opening hours as rows of days and times, and the other way round, for a form.

Rows express what most rules need: times of weekdays, and closed on public holidays. All else stays a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.translation import translatable

DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")

_DAY: Final = f"(?:{'|'.join(DAYS)})"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SPAN: Final = rf"{_TIME}-(?:{_TIME}|24:00)"
_CLAUSE: Final = re.compile(rf"({_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*) ({_SPAN}(?:,{_SPAN})*)")
_HOLIDAYS_OFF: Final = "PH off"


@dataclass(frozen=True, slots=True)
class HoursRow:
    """A span of time on some days; `days` are places in `DAYS`, `start` and `end` such as `09:00` and `24:00`."""

    days: tuple[int, ...]
    start: str
    end: str

    @property
    def is_overnight(self) -> bool:
        """Whether it reaches into the next day."""
        return self.end <= self.start


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """All spans of a week."""

    rows: tuple[HoursRow, ...] = ()
    closed_on_holidays: bool = False


def weekly_hours(expression: str) -> WeeklyHours | None:
    """Return the rows of an opening-hours text; None if rows cannot express it."""
    clauses = [" ".join(clause.split()) for clause in expression.split(";")]
    closed = len(clauses) > 1 and clauses[-1] == _HOLIDAYS_OFF
    clauses = clauses[:-1] if closed else clauses
    adds = len(clauses) == 1
    rows: list[HoursRow] = []
    for clause in clauses[0].split(", ") if adds else clauses:
        found = _CLAUSE.fullmatch(clause)
        days = _days(found[1]) if found else ()
        if found is None or not days:
            return None
        more = [HoursRow(days, *span.split("-")) for span in found[2].split(",")]
        if mistakes_of(more):
            return None
        # After a semicolon a clause replaces what earlier ones say of its days, hours after midnight included.
        if not adds and any(not set(days).isdisjoint(one.days) for one in rows):
            return None
        rows += more
    if not adds and any(row.is_overnight for row in rows):
        return None
    return WeeklyHours(tuple(rows), closed)


def hours_text(hours: WeeklyHours) -> str:
    """Return the opening-hours text of rows: each day has the times of all rows that name it."""
    by_day = {day: sorted({f"{row.start}-{row.end}" for row in hours.rows if day in row.days}) for day in range(7)}
    clauses = []
    for spans in dict.fromkeys(tuple(spans) for spans in by_day.values() if spans):
        days = [day for day in range(7) if tuple(by_day[day]) == spans]
        clauses.append(f"{_days_text(days)} {','.join(spans)}")
    # The comma adds a clause, so that hours after midnight stay; the usual semicolon would replace them.
    text = (", " if any(row.is_overnight for row in hours.rows) else "; ").join(clauses)
    return f"{text}; {_HOLIDAYS_OFF}" if text and hours.closed_on_holidays else text


def mistakes_of(rows: Sequence[HoursRow]) -> list[str]:
    """Return what is wrong with rows that were typed, each with its place."""
    found = []
    for place, row in enumerate(rows, start=1):
        if not row.days:
            found.append(translatable("hours %(place)s name no day", place=place))
        if not re.fullmatch(_SPAN, f"{row.start}-{row.end}"):
            found.append(
                translatable("hours %(place)s need a time from 00:00 to 23:59 and one until when", place=place)
            )
        elif row.start == row.end:
            found.append(
                translatable(
                    "hours %(place)s begin and end at the same time; from 00:00 to 24:00 is the whole day", place=place
                )
            )
    return found


def _days(text: str) -> tuple[int, ...]:
    """Return the days of a text such as `Mo-We,Su`; empty if it names one twice or goes past the end of the week."""
    found: list[int] = []
    for item in text.split(","):
        first, _, last = item.partition("-")
        start, end = DAYS.index(first), DAYS.index(last or first)
        if end < start:
            return ()
        found += range(start, end + 1)
    return tuple(found) if len(set(found)) == len(found) else ()


def _days_text(days: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(map(_run_text, runs))


def _run_text(run: Sequence[int]) -> str:
    if len(run) < 3:
        return ",".join(DAYS[day] for day in run)
    return f"{DAYS[run[0]]}-{DAYS[run[-1]]}"
