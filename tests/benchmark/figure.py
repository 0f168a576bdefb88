"""One figure of the design: what was measured in rounds, what it is held against, and whether it was reached."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from rich.console import Console
from rich.table import Table

LOG_COLUMNS = 130
"""How wide a table is where no terminal says how wide it is: in a log."""


def console_of_tables() -> Console:
    """Return a console on standard output on which a row of figures is a line."""
    return Console(width=None if sys.stdout.isatty() else LOG_COLUMNS)


class Aim(StrEnum):
    """Which side of its target a figure must be on."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its rounds; with a `baseline` the target is for the ratio ours / baseline, else for ours itself.

    Without a target it is printed only.
    """

    name: str
    unit: str
    ours: Sequence[float]
    aim: Aim
    target: float | None
    baseline: Sequence[float] = ()
    note: str = ""

    @property
    def judged(self) -> list[float]:
        """What the target is for, one number per round; rounds of a ratio were measured one right after the other."""
        if not self.baseline:
            return list(self.ours)
        return [ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True)]

    @property
    def reached(self) -> bool:
        """Whether the median of the rounds is on the right side of the target, if there is one."""
        if self.target is None:
            return True
        middle = median(self.judged)
        return middle >= self.target if self.aim is Aim.AT_LEAST else middle <= self.target


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table of all figures: medians, and for ratios the lowest and the highest round too."""
    table = Table(title="Figures (medians of the rounds; ratio = ours / baseline)", title_justify="left")
    for name in ("figure", "baseline", "ours", "ratio min … max", "target", "verdict"):
        of_words = name in {"figure", "verdict"}
        table.add_column(name, justify="left" if of_words else "right", no_wrap=name != "figure")
    for figure in figures:
        table.add_row(*_row(figure))
    console.print(table)


def _row(figure: Figure) -> tuple[str, str, str, str, str, str]:
    judged = sorted(figure.judged)
    name = f"{figure.name}\n[dim]{figure.note}[/dim]" if figure.note else figure.name
    verdict = "[green]reached[/green]" if figure.reached else "[red]MISSED[/red]"
    if figure.target is None:
        verdict = "printed"
    ours = f"{_number(median(figure.ours))} {figure.unit}"
    if not figure.baseline:
        target = "" if figure.target is None else f"{figure.aim} {_number(figure.target)} {figure.unit}"
        return name, "", ours, "", target, verdict
    baseline = f"{_number(median(figure.baseline))} {figure.unit}"
    ratio = f"{median(judged):.2f}× ({judged[0]:.2f} … {judged[-1]:.2f})"
    target = "" if figure.target is None else f"{figure.aim} {figure.target:g}×"
    return name, baseline, ours, ratio, target, verdict


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
