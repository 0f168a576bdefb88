"""Durations as people read them."""

from __future__ import annotations

import pytest

from app.audit import duration_text, interval_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (0.314, "314 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (59.9, "59.9 s"), (59.96, "1 min 00 s"),
        (185, "3 min 05 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min"), (172_799, "47 h 59 min"), (180_000, "2 days"),
        (-3, "0 ms"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "1 min"), (1_800, "30 min"), (3_600, "1 h"), (10_800, "3 h"), (86_400, "1 day"), (172_800, "2 days")],
)
def test_an_interval_says_no_smaller_unit_than_it_has(seconds: int, text: str) -> None:
    assert interval_text(seconds) == text
