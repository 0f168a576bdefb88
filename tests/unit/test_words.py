"""How pages say factors and windows, and where the lines of a picture are."""

from __future__ import annotations

import pytest

from app.server.console.charts import _round_steps
from app.server.formatting import NOTHING, times, window


@pytest.mark.parametrize(
    ("factor", "text"), [(None, NOTHING), (0, "0.0×"), (0.44, "0.4×"), (9.96, "10×"), (144, "144×")]
)
def test_factors(factor: float | None, text: str) -> None:
    assert times(factor) == text


@pytest.mark.parametrize(
    ("hours", "text"),
    [(5 / 60, "Last 5 min"), (1, "Last hour"), (6.5, "Last 6.5 hours"), (24, "Last 24 hours"), (168, "Last 7 days")],
)
def test_windows(hours: float, text: str) -> None:
    assert window(hours) == text


@pytest.mark.parametrize("highest", [0, 1, 2, 3, 7, 10, 49, 134, 501, 9_999, 10_000])
def test_the_lines_of_a_picture_are_few_round_and_reach_the_highest(highest: int) -> None:
    steps = _round_steps(highest)
    assert 3 <= len(steps) <= 7
    assert steps[0] == 0
    assert steps[-1] >= highest
    assert str(steps[1])[0] in "125"
    assert set(str(steps[1])[1:]) <= {"0"}
