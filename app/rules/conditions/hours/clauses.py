"""An opening-hours value as frozen dataclasses.

OpenStreetMap calls the parts of a value rules; here they are clauses, because a rule is a routing rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from app.rules.conditions.hours.selectors import DateSelector, PublicHolidays

DAY: Final = 24 * 60  # minutes


class State(StrEnum):
    """What a value says of a moment; only OPEN puts a routing rule in force."""

    OPEN = "open"
    CLOSED = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes since midnight of the clause's day, the end excluded; up to 48 hours, so a span can end the next day.

    An open end (`17:00+`) is a span of state UNKNOWN whose end is an estimate.
    """

    start: int
    end: int
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """One entry of a time list, as written: `09:00-17:00`, `17:00+`, `09:00-17:00+`."""

    start: int
    end: int | None
    open_end: bool = False

    def spans(self) -> tuple[Span, ...]:
        """Return what the entry covers; of two spans that overlap the later one counts."""
        if self.end is None:
            return (Span(self.start, _estimated_end(self.start), open_end=True),)
        end = self.end if self.end > self.start else self.end + DAY
        if not self.open_end:
            return (Span(self.start, end),)
        return (Span(end, _estimated_end(end), open_end=True), Span(self.start, end))

    def __str__(self) -> str:
        text = _clock(self.start)
        if self.end is not None:
            text += f"-{_clock(self.end)}"
        return text + "+" * self.open_end


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause: the days and times it covers and the state it gives them.

    A day must be included by one selector of every list that is not empty. Without times a clause covers the whole day.
    """

    years: tuple[DateSelector, ...] = ()
    dates: tuple[DateSelector, ...] = ()
    weeks: tuple[DateSelector, ...] = ()
    holidays: tuple[PublicHolidays, ...] = ()
    weekdays: tuple[DateSelector, ...] = ()
    times: tuple[Times, ...] = ()
    is_always: bool = False
    """Written as `24/7`."""
    state: State = State.OPEN
    comment: str | None = None
    is_additional: bool = False
    """After a comma: adds to the clauses before it instead of replacing them for its days."""
    is_fallback: bool = False
    """After `||`: counts only where the clauses before it leave a moment closed."""

    @property
    def date_lists(self) -> tuple[tuple[DateSelector, ...], ...]:
        """The lists of date selectors that are not empty."""
        lists = (self.years, self.holidays, self.dates, self.weeks, self.weekdays)
        return tuple(selectors for selectors in lists if selectors)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The time spans of a day; empty when the whole day is covered."""
        if self.is_always or not self.times:
            return ()
        return tuple(chain.from_iterable(times.spans() for times in self.times))

    @property
    def can_open(self) -> bool:
        """Whether any moment could be open by this clause."""
        has_end = not self.times or any(times.end is not None for times in self.times)
        return self.state is State.OPEN and has_end

    @property
    def begins_with_times(self) -> bool:
        """Whether the first thing in the clause is a time."""
        return bool(self.times) and not self.date_lists

    @property
    def has_holidays(self) -> bool:
        """Whether the clause needs a calendar of public holidays."""
        return any(isinstance(selector, PublicHolidays) for selector in chain(self.holidays, self.weekdays))

    def text(self, *, before_addition: Clause | None = None) -> str:
        """Return the clause's syntax; `before_addition` is the clause that follows it after a comma."""
        parts = [_list_text(self.years), _list_text(self.dates)]
        if self.weeks:
            parts.append(f"week {_list_text(self.weeks)}")
        parts += [_list_text(self.holidays), _list_text(self.weekdays), _list_text(self.times)]
        if self.is_always:
            parts.append("24/7")
        # Without a state, the comma before an addition could be read as one within the list that ends this clause.
        is_list_open = before_addition is not None and (not self.times or before_addition.begins_with_times)
        if self.comment is not None and self.state is State.UNKNOWN:
            parts.append(f'"{self.comment}"')
        elif self.state is not State.OPEN or self.comment is not None or is_list_open or not any(parts):
            parts.append(str(self.state))
            parts.append("" if self.comment is None else f'"{self.comment}"')
        return " ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """A parsed value; its text is the value in its shortest usual spelling."""

    clauses: tuple[Clause, ...]

    @property
    def has_holidays(self) -> bool:
        """Whether the value speaks of public holidays."""
        return any(clause.has_holidays for clause in self.clauses)

    @property
    def can_open(self) -> bool:
        """Whether the value could be open at some moment; False for `24/7 off`, `17:00+` or a comment alone."""
        return any(clause.can_open for clause in self.clauses)

    def __str__(self) -> str:
        text = ""
        was_fallback = False
        after: tuple[Clause | None, ...] = (*self.clauses[1:], None)
        for clause, following in zip(self.clauses, after, strict=True):
            if text:
                begins_fallback = clause.is_fallback and (not clause.is_additional or not was_fallback)
                text += " || " if begins_fallback else ", " if clause.is_additional else "; "
            was_fallback = clause.is_fallback
            is_added_to = following is not None and following.is_additional
            text += clause.text(before_addition=following if is_added_to else None)
        return text


def _estimated_end(start: int) -> int:
    """Return when an open end is taken to end: as opening_hours.js does, it lasts longer the later it starts."""
    if start >= 22 * 60:
        return start + 8 * 60
    return start + 10 * 60 if start >= 17 * 60 else DAY


def _list_text(entries: tuple[object, ...]) -> str:
    return ",".join(map(str, entries))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
