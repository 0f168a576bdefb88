"""What an opening-hours value says of a moment: a pure function of the local date and time.

The semantics are those of opening_hours.js, the reference implementation: for each day, a clause after `;` that
includes the day and is not `off` replaces all clauses before it; clauses after a comma, `||` or with `off` are applied
on top, in order. Times beyond 24:00 carry over to the next day unless a later clause replaces that day.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain

from app.rules.conditions.hours.clauses import DAY, Clause, OpeningHours, Span, State
from app.rules.conditions.hours.selectors import DateSelector, HolidayCalendar

_ONE_DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The states of one day: `states[i]` from minute `starts[i]` to the next start."""

    starts: tuple[int, ...]
    states: tuple[State, ...]

    def state_at(self, minute: int) -> State:
        """Return the state at `minute` since midnight."""
        return self.states[bisect_right(self.starts, minute) - 1]


@dataclass(frozen=True, slots=True)
class _Step:
    """A clause prepared for evaluation: `today` and `carried` are its spans on its own day and on the day after."""

    date_lists: tuple[tuple[DateSelector, ...], ...]
    state: State
    is_fallback: bool
    replaces: bool
    today: tuple[Span, ...]
    carried: tuple[Span, ...]

    def includes(self, day: date, holidays: HolidayCalendar) -> bool:
        for selectors in self.date_lists:
            for selector in selectors:
                if selector.includes(day, holidays):
                    break
            else:
                return False
        return True


class Schedule:
    """An opening-hours value that plans days."""

    __slots__ = ("_holidays", "_steps")

    def __init__(self, hours: OpeningHours, holidays: HolidayCalendar) -> None:
        self._holidays = holidays
        before: tuple[Clause | None, ...] = (None, *hours.clauses)
        self._steps = tuple(_prepare(clause, before[index]) for index, clause in enumerate(hours.clauses))

    def plan(self, day: date) -> DayPlan:
        """Return the states of `day`."""
        holidays = self._holidays
        yesterday = day - _ONE_DAY
        applied: list[tuple[_Step, tuple[Span, ...]]] = []
        for step in self._steps:
            if step.today and step.includes(day, holidays):
                if step.replaces:
                    applied.clear()
                applied.append((step, step.today))
            if step.carried and step.includes(yesterday, holidays):
                applied.append((step, step.carried))
        return _paint(applied)


def state_at(hours: OpeningHours, moment: datetime, holidays: HolidayCalendar) -> State:
    """Return what `hours` say of a local date and time, given the public holidays."""
    return Schedule(hours, holidays).plan(moment.date()).state_at(moment.hour * 60 + moment.minute)


def _prepare(clause: Clause, before: Clause | None) -> _Step:
    spans = clause.spans or (Span(0, DAY),)
    # A clause without days replaces only another one without days: `09:00-17:00; 10:00-12:00` means the latter.
    names_days = bool(clause.date_lists)
    follows_daily = before is not None and not before.date_lists and clause.state is State.OPEN
    return _Step(
        date_lists=clause.date_lists,
        state=clause.state,
        is_fallback=clause.is_fallback,
        replaces=(names_days or follows_daily)
        and clause.state is not State.CLOSED
        and not clause.is_additional
        and not clause.is_fallback,
        today=tuple(Span(span.start, min(span.end, DAY), span.open_end) for span in spans if span.start < DAY),
        carried=tuple(
            Span(max(span.start - DAY, 0), span.end - DAY, span.open_end) for span in spans if span.end > DAY
        ),
    )


def _paint(applied: list[tuple[_Step, tuple[Span, ...]]]) -> DayPlan:
    edges = {0}
    for span in chain.from_iterable(spans for _, spans in applied):
        edges.add(span.start)
        edges.add(span.end)
    starts: list[int] = []
    states: list[State] = []
    for minute in sorted(edges):
        if minute < DAY:
            state = _state(applied, minute)
            if not states or states[-1] is not state:
                starts.append(minute)
                states.append(state)
    return DayPlan(tuple(starts), tuple(states))


def _state(applied: list[tuple[_Step, tuple[Span, ...]]], minute: int) -> State:
    state = State.CLOSED
    for step, spans in applied:
        for span in spans:
            if step.is_fallback and state is not State.CLOSED:
                break
            if span.start <= minute < span.end:
                state = State.UNKNOWN if span.open_end and step.state is not State.CLOSED else step.state
    return state
