"""When the retries of one agent are made that are due at the same moment."""

from __future__ import annotations

import pytest

from app.flows.arrival.retry_spread import LONGEST_GAP_S, SHORTEST_GAP_S, SPREAD_OVER_S, RetrySpread


def delays(spread: RetrySpread, count: int, now: float = 100.0) -> list[float]:
    return [spread.delay("default", "greeter", now) for _ in range(count)]


def test_the_first_is_not_delayed_and_other_agents_are_not_affected() -> None:
    spread = RetrySpread()
    assert delays(spread, 3)[0] == 0
    assert spread.delay("default", "other", 100.0) == 0
    assert spread.delay("second", "greeter", 100.0) == 0
    assert spread.delay("default", "greeter", 110.0) == 0


@pytest.mark.parametrize(
    ("joined", "gap"), [(0, LONGEST_GAP_S), (1, LONGEST_GAP_S), (10, 0.3), (20, 0.15), (90, SHORTEST_GAP_S)]
)
def test_the_gap_follows_from_how_many_agents_joined_of_late(joined: int, gap: float) -> None:
    spread = RetrySpread()
    for _ in range(40):
        spread.note_joined("default", "greeter", 80.0)  # long ago
    for _ in range(joined):
        spread.note_joined("default", "greeter", 95.0)
    first, second, third = delays(spread, 3)
    assert second - first == pytest.approx(gap)
    assert third - second == pytest.approx(gap)


def test_a_large_burst_is_spread_evenly_over_the_longest_delay() -> None:
    found = delays(RetrySpread(), 500)
    assert max(found) <= SPREAD_OVER_S
    seconds = [sum(int(one) == second for one in found) for second in range(int(SPREAD_OVER_S))]
    assert max(seconds) - min(seconds) <= 0.1 * 500 / SPREAD_OVER_S
