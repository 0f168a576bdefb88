from __future__ import annotations

import pytest

from app.flows.sweep.sweep import MOST_PER_SECOND, ROOMS_PER_SECOND, fastest_pause


@pytest.mark.parametrize(("rooms", "interval_s"), [(7_000, 30.0), (20_000, 60.0), (12_000, 30.0)])
def test_a_pass_over_very_many_rooms_takes_less_than_its_interval(rooms: int, interval_s: float) -> None:
    assert rooms * fastest_pause(rooms, interval_s) < interval_s


@pytest.mark.parametrize("rooms", [0, 1, 100, 4_000])
def test_rooms_that_fit_into_the_interval_are_swept_at_the_usual_pace(rooms: int) -> None:
    assert fastest_pause(rooms, 30.0) == pytest.approx(1 / ROOMS_PER_SECOND)


def test_no_number_of_rooms_makes_the_sweep_take_the_whole_processor() -> None:
    assert fastest_pause(1_000_000, 30.0) == pytest.approx(1 / MOST_PER_SECOND)
