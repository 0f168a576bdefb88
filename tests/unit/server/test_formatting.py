"""Factors and time windows as pages show them."""

from __future__ import annotations

import pytest

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
