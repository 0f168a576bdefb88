"""The data of a small picture in a list: how often an agent was asked over time, and how often it did not join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.audit import AgentTrend
from app.translation import gettext, number_text

HEIGHT: Final = 22


@dataclass(frozen=True, slots=True)
class SparkBar:
    """One interval: heights in units of the picture, of those that joined and of those that did not."""

    good: float
    bad: float


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The bars, oldest first, and what they say as text."""

    bars: tuple[SparkBar, ...]
    label: str


def sparkline_of(trend: AgentTrend | None) -> Sparkline | None:
    """Return the picture of a trend; None where nothing was asked. What missed is at least one unit high."""
    if trend is None or not any(trend.asked):
        return None
    unit = HEIGHT / max(trend.asked)
    bars = []
    for asked, missed in zip(trend.asked, trend.missed, strict=True):
        bad = max(missed * unit, 1.5) if missed else 0.0
        good = max(min(asked * unit, HEIGHT) - bad, 0.0)
        bars.append(SparkBar(round(good, 1), round(bad, 1)))
    last = gettext(
        "%(asked)s times asked, %(missed)s not joined; at most %(most)s in one interval",
        asked=number_text(sum(trend.asked)),
        missed=number_text(sum(trend.missed)),
        most=number_text(max(trend.asked)),
    )
    return Sparkline(tuple(bars), last)
