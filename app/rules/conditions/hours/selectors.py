"""Date selectors of an opening-hours value: each says whether it includes a day, and its text is the value's syntax.

Weekdays are 0 (Monday) to 6, months 1 to 12. A day is a calendar date on the wall clock of the rule's time zone.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

WEEKDAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HolidayCalendar(Protocol):
    """Public holidays of one country or region."""

    def is_holiday(self, day: date) -> bool:
        """Return whether `day` is a public holiday."""
        ...


class DateSelector(Protocol):
    """A set of days."""

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:
        """Return whether `day` is in the set."""
        ...


@dataclass(frozen=True, slots=True)
class Years:
    """`2026`, `2026-2030`, `2026-2030/2`, `2026+`."""

    first: int
    last: int | None
    step: int = 1

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        if day.year < self.first or (self.last is not None and day.year > self.last):
            return False
        return (day.year - self.first) % self.step == 0

    def __str__(self) -> str:
        if self.last is None:
            return f"{self.first}+" if self.step == 1 else f"{self.first}/{self.step}"
        years = _range_text(self.first, self.last)
        return years if self.step == 1 else f"{years}/{self.step}"


@dataclass(frozen=True, slots=True)
class Months:
    """`Dec`, `Nov-Feb`."""

    first: int
    last: int

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        return _cyclic(self.first, day.month, self.last)

    def __str__(self) -> str:
        return _range_text(MONTHS[self.first - 1], MONTHS[self.last - 1])


@dataclass(frozen=True, slots=True)
class MonthDay:
    """`Dec 24`, `2026 Dec 24`."""

    month: int
    day: int
    year: int | None = None

    def first_day(self, year: int) -> date:
        """Return the date; 1 March for `Feb 29` in a common year."""
        if self.day > _month_length(year, self.month):
            return date(year, 3, 1)
        return date(year, self.month, self.day)

    def last_day(self, year: int) -> date:
        """Return the date; 28 February for `Feb 29` in a common year."""
        return date(year, self.month, min(self.day, _month_length(year, self.month)))

    def __str__(self) -> str:
        return _with_year(self.year, f"{MONTHS[self.month - 1]} {self.day:02}")


@dataclass(frozen=True, slots=True)
class Easter:
    """`easter`, `easter -2 days`: Western Easter Sunday, moved by some days within its year."""

    offset: int = 0
    year: int | None = None

    def first_day(self, year: int) -> date:
        """Return the date in `year`."""
        return easter_sunday(year) + timedelta(self.offset)

    def __str__(self) -> str:
        return _with_year(self.year, "easter" + _offset_text(self.offset))


@dataclass(frozen=True, slots=True)
class NthWeekdayOfMonth:
    """`Oct Su[-1]` as the start of a range."""

    month: int
    weekday: int
    nth: int
    offset: int = 0
    year: int | None = None

    def first_day(self, year: int) -> date:
        """Return the date in `year`; a fifth weekday that a month lacks runs into the next month."""
        if self.nth > 0:
            start = date(year, self.month, 1)
            day = start + timedelta((self.weekday - start.weekday()) % 7 + 7 * (self.nth - 1))
        else:
            end = date(year, self.month, _month_length(year, self.month))
            day = end - timedelta((end.weekday() - self.weekday) % 7 + 7 * (-self.nth - 1))
        return day + timedelta(self.offset)

    def __str__(self) -> str:
        weekday = f"{WEEKDAYS[self.weekday]}[{self.nth}]{_offset_text(self.offset)}"
        return _with_year(self.year, f"{MONTHS[self.month - 1]} {weekday}")


Anchor = MonthDay | Easter | NthWeekdayOfMonth


@dataclass(frozen=True, slots=True)
class SingleDay:
    """One date of every year, or of one year."""

    day: MonthDay | Easter

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        if isinstance(self.day, MonthDay):
            return day.day == self.day.day and day.month == self.day.month and self.day.year in {None, day.year}
        return self.day.year in {None, day.year} and day == self.day.first_day(day.year)

    def __str__(self) -> str:
        return str(self.day)


@dataclass(frozen=True, slots=True)
class DayRange:
    """`Dec 24-26`, `Dec 24-Jan 02`, `2026 Dec 24-2027 Jan 02`, `easter-May 31`, `Jan 01-31/8`; both ends included."""

    first: Anchor
    last: MonthDay
    step: int = 1

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        start = self.first.first_day(self.first.year or day.year)
        end = self.last.last_day(self.last.year or day.year)
        if end < start:  # across New Year; with years the parser has refused it
            return day >= start or day <= end
        return start <= day <= end and (self.step == 1 or (day - start).days % self.step == 0)

    def __str__(self) -> str:
        first, last = self.first, self.last
        if (
            isinstance(first, MonthDay)
            and (first.year, first.month) == (last.year, last.month)
            and first.day <= last.day
        ):
            days = f"{first}-{last.day:02}"
            return days if self.step == 1 else f"{days}/{self.step}"
        return f"{first}-{last}"


@dataclass(frozen=True, slots=True)
class Weeks:
    """ISO weeks: `week 10`, `week 10-20`, `week 02-52/2`."""

    first: int
    last: int
    step: int = 1

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        week = day.isocalendar().week
        return self.first <= week <= self.last and (week - self.first) % self.step == 0

    def __str__(self) -> str:
        weeks = _range_text(f"{self.first:02}", f"{self.last:02}")
        return weeks if self.step == 1 else f"{weeks}/{self.step}"


@dataclass(frozen=True, slots=True)
class Weekdays:
    """`Mo`, `Mo-Fr`, `Fr-Mo`."""

    first: int
    last: int

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        return _cyclic(self.first, day.weekday(), self.last)

    def __str__(self) -> str:
        return _range_text(WEEKDAYS[self.first], WEEKDAYS[self.last])


@dataclass(frozen=True, slots=True)
class NthWeekdays:
    """`Mo[1]`, `Mo[1-2,-1]`, `Th[1] -2 days`: the n-th such weekday of its month, moved by some days."""

    weekday: int
    nths: tuple[int, ...]
    offset: int = 0

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:  # noqa: ARG002 - protocol
        counted = day - timedelta(self.offset)
        if counted.weekday() != self.weekday:
            return False
        from_start = (counted.day - 1) // 7 + 1
        from_end = -((_month_length(counted.year, counted.month) - counted.day) // 7 + 1)
        return from_start in self.nths or from_end in self.nths

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]}[{','.join(map(str, self.nths))}]{_offset_text(self.offset)}"


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """`PH`, `PH -1 day`."""

    offset: int = 0

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:
        return holidays.is_holiday(day - timedelta(self.offset))

    def __str__(self) -> str:
        return "PH" + _offset_text(self.offset)


def easter_sunday(year: int) -> date:
    """Return the date of Western Easter, by the anonymous Gregorian algorithm."""
    century, place = divmod(year, 100)
    golden = year % 19
    leap_centuries, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - leap_centuries - correction + 15) % 30
    weekday = (32 + 2 * rest + 2 * (place // 4) - moon - place % 4) % 7
    shift = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def _month_length(year: int, month: int) -> int:
    return monthrange(year, month)[1]


def _cyclic(first: int, value: int, last: int) -> bool:
    return first <= value <= last if first <= last else value >= first or value <= last


def _range_text(first: object, last: object) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _with_year(year: int | None, text: str) -> str:
    return text if year is None else f"{year} {text}"


def _offset_text(days: int) -> str:
    return f" {days:+} day{'s' if abs(days) != 1 else ''}" if days else ""
