"""The active hours in the form of a rule: rows of days and times, or the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.errors import Problem
from app.rules.conditions.hours.weekly_hours import DAYS, HoursRow, WeeklyHours, hours_text, mistakes_of, weekly_hours
from app.server.request_text import whole_number

MOST_ROWS: Final = 14
_WORKDAYS: Final = HoursRow((0, 1, 2, 3, 4), "09:00", "18:00")
_BLANK: Final = HoursRow((), "", "")


@dataclass(frozen=True, slots=True)
class HoursForm:
    """The hours as a form sends and shows them; with rows, `text` is what they were made from.

    `is_beyond`: rows were asked for and cannot express the text.
    """

    text: str
    as_week: bool = False
    rows: tuple[HoursRow, ...] = ()
    closed_on_holidays: bool = False
    is_beyond: bool = False

    @property
    def days(self) -> tuple[str, ...]:
        """The names of the days, from Monday on."""
        return DAYS


def hours_form(text: str) -> HoursForm:
    """Return the form of an opening-hours text: as rows where these can express it."""
    return replace(_as_week(text), is_beyond=False)


def sent_hours(first: Callable[[str], str], every: Callable[[str], Sequence[str]]) -> HoursForm:
    """Return the hours of a form; `first` and `every` return the value and all values of a field by name."""
    rows = []
    for place in every("hours-row")[:MOST_ROWS]:
        days = tuple(sorted({int(day) for day in every(f"hours-days-{place}") if day in {*"0123456"}}))
        end = first(f"hours-end-{place}").strip()
        rows.append(HoursRow(days, first(f"hours-start-{place}").strip(), "24:00" if end == "00:00" else end))
    as_week = first("hours_as") == "week"
    return HoursForm(first("active_hours"), as_week, tuple(rows), bool(first("hours-closed")))


def text_of_hours(sent: HoursForm) -> tuple[str, list[Problem]]:
    """Return the opening-hours text, and the mistakes in the rows; a text that says the same keeps its spelling."""
    if not sent.as_week:
        return sent.text, []
    rows = tuple(row for row in sent.rows if row != _BLANK)
    problems = [Problem("active_hours", mistake) for mistake in mistakes_of(rows)]
    hours = WeeklyHours(rows, sent.closed_on_holidays and bool(rows))
    same = weekly_hours(sent.text) == hours if sent.text.strip() else not rows
    return (sent.text if same or problems else hours_text(hours)), problems


def changed_hours(sent: HoursForm, part: str) -> tuple[HoursForm, list[Problem]]:
    """Return the form after a button: the other view, or a row more or less; with mistakes the view stays."""
    _, _, name = part.partition("-")
    name, _, number = name.partition("-")
    rows, place = list(sent.rows), whole_number(number)
    match name:
        case "text" | "week":
            text, problems = text_of_hours(sent)
            if problems:
                return sent, problems
            return (HoursForm(text) if name == "text" else _as_week(text)), []
        case "add" if len(rows) < MOST_ROWS:
            rows.append(_BLANK if rows else _WORKDAYS)
        case "remove" if place is not None and place < len(rows):
            del rows[place]
    return replace(sent, rows=tuple(rows)), []


def _as_week(text: str) -> HoursForm:
    if not text.strip():
        return HoursForm("", as_week=True)
    found = weekly_hours(text)
    if found is None or len(found.rows) > MOST_ROWS:
        return HoursForm(text, is_beyond=True)
    return HoursForm(text, as_week=True, rows=found.rows, closed_on_holidays=found.closed_on_holidays)
