"""What one campaign shows: the judge's verdict, what was done to the programs, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

FAILURES = ("lost", "alone", "doubled", "ghosts", "unasked")
"""What the judge may find that must not be; `repeated` alone is no failure: an unanswered dispatch is made again."""


@dataclass(frozen=True, slots=True)
class Result:
    """`verdict` is the simulator's own; `harm` says what was done; `unmet` are the campaign's further demands."""

    campaign: str
    expected: int
    verdict: Mapping[str, Any]
    harm: str
    seconds: float
    unmet: tuple[str, ...] = ()
    traces: str = ""
    """Rows and log lines of the callers who were not served, to find out why."""

    @property
    def problems(self) -> list[str]:
        """Return all that must not be, in words; empty: the campaign is passed."""
        found = [f"{name}: {', '.join(self.verdict[name])}" for name in FAILURES if self.verdict[name]]
        if self.verdict["callers"] != self.expected:
            found.append(f"{self.verdict['callers']} callers came, not {self.expected}")
        return [*found, *self.unmet]

    def __str__(self) -> str:
        lines = [f"{self.campaign} ({self.harm}):", *(self.problems or ["passed"]), self.traces]
        return "\n".join(line for line in lines if line)


def show(results: Sequence[Result], console: Console) -> None:
    """Print one row per campaign."""
    table = Table(title="Campaigns, judged by the simulated LiveKit's own list", title_justify="left")
    table.add_column("campaign", overflow="fold")
    for name in ("callers", "served", "lost", "alone", "doubled", "ghosts", "sent twice", "median wait", "longest"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for each in results:
        verdict = each.verdict
        table.add_row(
            f"{each.campaign}\n[dim]{each.harm}; {each.seconds:.0f} s[/dim]",
            f"{verdict['callers']:,}",
            f"{verdict['served']:,}",
            *(str(len(verdict[name])) for name in ("lost", "alone", "doubled", "ghosts", "repeated")),
            f"{verdict['median_wait']:.2f} s",
            f"{verdict['longest_wait']:.2f} s",
            "[red]FAILED[/red]" if each.problems else "[green]passed[/green]",
        )
    console.print(table)
    for each in results:
        if each.problems:
            console.print(str(each), markup=False, highlight=False)
