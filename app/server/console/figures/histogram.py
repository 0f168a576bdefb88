"""The data of a histogram; `histogram.html` draws it, and writes the table beneath."""

from __future__ import annotations

from dataclasses import dataclass

from app.audit import BUCKET_BOUNDS_S, Figures
from app.translation import gettext, number_text


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
    bounds = [number_text(bound, len(f"{bound:g}".partition(".")[2])) for bound in BUCKET_BOUNDS_S]
    labels = [(gettext("≤ %(number)s s", number=bound), bound) for bound in bounds]
    labels.append((gettext("> %(number)s s", number=bounds[-1]), f">{bounds[-1]}"))
    counts = [column.count for column in figures.histogram]
    bars = tuple(Bar(label, tick, count) for (label, tick), count in zip(labels, counts, strict=True))
    return Histogram(bars, round_steps(max(counts, default=0)))


def round_steps(highest: int) -> tuple[int, ...]:
    """Return three to seven round numbers from 0 to at least `highest`."""
    step = next(size * 10**power for power in range(12) for size in (1, 2, 5) if highest <= 5 * size * 10**power)
    return tuple(range(0, max(highest, 2 * step) + step, step))
