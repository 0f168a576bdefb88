"""How long ago an instant was that a clock gave which was set since: never more than really passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.flows.elapsed_time import ElapsedTime


@dataclass
class SettableClock:
    elapsed: float = 1000.0
    offset: float = 1_790_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.elapsed + self.offset, UTC)

    def monotonic(self) -> float:
        return self.elapsed


@pytest.mark.parametrize("step", [0, 0.5, 2, 60, 7200, -60, -7200])
def test_an_instant_before_a_setting_is_as_old_as_it_is(step: float) -> None:
    clock = SettableClock()
    elapsed_time = ElapsedTime(clock)
    clock.elapsed += 5
    given_at = clock.now()
    clock.elapsed += 3
    elapsed_time.note_step()
    clock.offset += step
    clock.elapsed += 0.2
    assert elapsed_time.seconds_since(given_at) == pytest.approx(3.2, abs=0.51 if abs(step) < 1 else 0.001)


def test_an_instant_that_the_clock_gave_twice_is_taken_for_the_later() -> None:
    clock = SettableClock()
    elapsed_time = ElapsedTime(clock)
    clock.elapsed += 5
    given_at = clock.now()
    clock.offset -= 2
    clock.elapsed += 10
    elapsed_time.note_step()
    assert elapsed_time.seconds_since(given_at) == pytest.approx(8)


def test_times_before_the_first_reading_or_of_another_clock_are_kept() -> None:
    clock = SettableClock()
    long_ago = clock.now() - timedelta(hours=3)
    elapsed_time = ElapsedTime(clock)
    assert elapsed_time.seconds_since(long_ago) == pytest.approx(3 * 3600)
    elapsed_time.note_step()
    clock.offset += 30
    clock.elapsed += 10
    between = clock.now() - timedelta(seconds=20)
    assert elapsed_time.seconds_since(between) == pytest.approx(20)
    assert elapsed_time.seconds_since(clock.now() + timedelta(seconds=7)) == 0


@given(
    steps=st.lists(st.tuples(st.floats(0.1, 5), st.sampled_from([-7200, -60, -2, 0, 0, 0, 2, 60, 7200])), max_size=20),
    data=st.data(),
)
def test_no_more_time_is_reported_than_really_passed(steps: list[tuple[float, int]], data: st.DataObject) -> None:
    clock = SettableClock()
    elapsed_time = ElapsedTime(clock)
    given_instants = [(clock.elapsed, clock.now())]
    for seconds, step in steps:
        clock.elapsed += seconds
        given_instants.append((clock.elapsed, clock.now()))
        if data.draw(st.booleans(), label="look"):
            elapsed_time.note_step()
        clock.offset += step
        given_instants.append((clock.elapsed, clock.now()))
        elapsed_time.note_step()
    for tick, instant in given_instants:
        assert elapsed_time.seconds_since(instant) <= clock.elapsed - tick + 0.001
