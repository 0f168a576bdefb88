"""Durations as people read them."""

from __future__ import annotations

import pytest

from app.audit import duration_text


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
