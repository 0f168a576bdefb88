"""The data of a histogram; `histogram.html` draws it, and writes the table beneath."""

from __future__ import annotations

from dataclasses import dataclass

from app.audit import BUCKET_BOUNDS_S, Figures


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: `label` says it all, `tick` is as short as the axis needs it."""

    label: str
    tick: str
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """The columns, and the counts at which lines are drawn behind them, 0 first."""

    bars: tuple[Bar, ...]
    lines: tuple[int, ...]


def histogram_of(figures: Figures) -> Histogram:
    """Return the histogram of times to agent."""
    labels = [(f"≤ {bound:g} s", f"{bound:g}") for bound in BUCKET_BOUNDS_S] + [
        (f"> {BUCKET_BOUNDS_S[-1]:g} s", f">{BUCKET_BOUNDS_S[-1]:g}")
    ]
    counts = [column.count for column in figures.histogram]
    bars = tuple(Bar(label, tick, count) for (label, tick), count in zip(labels, counts, strict=True))
    return Histogram(bars, round_steps(max(counts, default=0)))


def round_steps(highest: int) -> tuple[int, ...]:
    """Return three to seven round numbers from 0 to at least `highest`."""
    step = next(size * 10**power for power in range(12) for size in (1, 2, 5) if highest <= 5 * size * 10**power)
    return tuple(range(0, max(highest, 2 * step) + step, step))
