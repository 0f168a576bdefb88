"""Factors, time windows and documents as pages show them."""

from __future__ import annotations

import json

import pytest

from app.server.formatting import NOTHING, document, times, window


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


def test_a_document_shows_what_turns_the_writing_direction_and_stays_the_same_document() -> None:
    value = {"identity": "\u202eana\u2069", "name": ["שלום"]}
    shown = document(value)
    assert "\\u202eana\\u2069" in shown
    assert "שלום" in shown
    assert json.loads(shown) == value
