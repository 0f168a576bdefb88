"""The evaluator against a second one that asks each minute of a day on its own, for values built at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.conditions.hours.clauses import State
from app.rules.conditions.hours.evaluation import Schedule
from app.rules.conditions.hours.parser import parse

NAMES = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
HOLIDAYS = {date(2026, 12, 25), date(2026, 12, 26), date(2027, 1, 1)}
DAYS = [date(2026, 12, 14) + timedelta(number) for number in range(28)]


class Holidays:
    def is_holiday(self, day: date) -> bool:
        return day in HOLIDAYS


@dataclass(frozen=True)
class Part:
    """One clause: days named by weekday or holiday (None: every day), times in half-hours, what separates it before."""

    weekdays: frozenset[int] | None
    with_holidays: bool
    spans: tuple[tuple[int, int], ...]
    state: State
    separator: str

    def text(self) -> str:
        days = [NAMES[number] for number in sorted(self.weekdays or ())] + ["PH"] * self.with_holidays
        times = [f"{clock(start)}-{clock(end)}" for start, end in self.spans]
        state = {State.OPEN: "open", State.CLOSED: "off", State.UNKNOWN: "unknown"}[self.state]
        return " ".join(filter(None, (",".join(days), ",".join(times), state)))

    def names(self, day: date) -> bool:
        if self.weekdays is None and not self.with_holidays:
            return True
        return day.weekday() in (self.weekdays or ()) or (self.with_holidays and day in HOLIDAYS)

    @property
    def is_daily(self) -> bool:
        return self.weekdays is None and not self.with_holidays


def clock(half_hours: int) -> str:
    return f"{half_hours // 2:02}:{half_hours % 2 * 30:02}"


def naive_state(parts: list[Part], day: date, minute: int) -> State:
    """Return the state of one minute, by the sentences of CONDITIONS.md taken one after the other."""
    day_before = day - timedelta(1)
    layers: list[tuple[Part, bool]] = []
    for index, part in enumerate(parts):
        if part.names(day):
            over_a_daily_one = part.state is State.OPEN and index > 0 and parts[index - 1].is_daily
            if part.separator == "; " and part.state is not State.CLOSED and (not part.is_daily or over_a_daily_one):
                layers = []
            at = [start * 30 <= minute < end * 30 for start, end in part.spans]
            layers.append((part, any(at) if part.spans else True))
        if part.names(day_before):
            at = [minute + 1440 < end * 30 for _, end in part.spans]
            layers.append((part, any(at)))
    state = State.CLOSED
    for part, is_covered in layers:
        if is_covered and (part.separator != " || " or state is State.CLOSED):
            state = part.state
    return state


spans = st.tuples(st.integers(0, 47), st.integers(1, 48)).map(lambda pair: (pair[0], min(pair[0] + pair[1], 96)))
parts = st.builds(
    Part,
    st.none() | st.frozensets(st.integers(0, 6), min_size=1, max_size=4),
    st.booleans(),
    st.lists(spans, max_size=2).map(tuple),
    st.sampled_from([State.OPEN, State.OPEN, State.CLOSED, State.UNKNOWN]),
    st.sampled_from(["; ", "; ", ", ", " || "]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(parts, min_size=1, max_size=4), st.sampled_from(DAYS))
def test_every_minute_is_as_the_naive_evaluator_says(found: list[Part], day: date) -> None:
    # The first clause has no separator; a comma after || would make another fallback.
    found = [replace(found[0], separator="; "), *found[1:]]
    for index, part in enumerate(found[1:], start=1):
        if part.separator == ", " and found[index - 1].separator == " || ":
            found[index] = replace(part, separator="; ")
    text = found[0].text() + "".join(part.separator + part.text() for part in found[1:])
    plan = Schedule(parse(text), Holidays()).plan(day)
    for minute in range(0, 1440, 15):
        assert plan.state_at(minute) is naive_state(found, day, minute), (text, minute)
