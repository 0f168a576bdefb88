"""Figures of some dispatches: what became of them, and how long their callers waited."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import Field

from app.audit.statistics.call_counts import CallCounts
from app.json_shape import Instant, JsonShape

BUCKET_BOUNDS_S: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds: upper bounds of the histogram's columns; one more column counts all longer waits."""


@dataclass(frozen=True, slots=True)
class Waits(JsonShape):
    """Percentiles of a number of waits in seconds; null when there is none."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        """Return the percentiles by nearest rank, so that each is a wait that was measured."""
        ordered = sorted(seconds)
        if not ordered:
            return cls(0, None, None, None)
        ranks = [ordered[max(0, math.ceil(len(ordered) * share) - 1)] for share in (0.5, 0.95, 0.99)]
        return cls(len(ordered), *ranks)


@dataclass(frozen=True, slots=True)
class Column(JsonShape):
    """One column of a histogram: waits up to `up_to_seconds`, above the column before; null for all others."""

    up_to_seconds: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Figures(JsonShape):
    """Outcomes and waits of some dispatches; shares are of 1."""

    dispatches: int
    waiting: int
    handing_over: Annotated[int, Field(description="another agent has the call until the one that was asked joins")]
    arrived: int
    no_shows: int
    failed: int
    abandoned: Annotated[int, Field(description="the caller left before an agent joined")]
    cancelled: int
    fallbacks: int
    no_show_share: float | None
    abandoned_share: float | None
    fallback_share: float | None
    seconds_to_agent: Annotated[
        Waits, Field(description="of dispatches whose agent joined; a phone rings on until its agent publishes audio")
    ]
    seconds_given_up: Annotated[Waits, Field(description="of dispatches whose callers left first")]
    histogram: Annotated[tuple[Column, ...], Field(description="of `seconds_to_agent`")]

    @property
    def decided(self) -> int:
        """How many are decided: an agent joined, none did, or the caller left first."""
        return self.arrived + self.no_shows + self.failed + self.abandoned

    @property
    def arrived_share(self) -> float | None:
        return _share(self.arrived, self.decided)

    @property
    def missed_share(self) -> float | None:
        """No-shows and failures as a share of the decided ones."""
        return _share(self.no_shows + self.failed, self.decided)


@dataclass(frozen=True, slots=True)
class AgentFigures(Figures):
    """Figures of one agent."""

    agent: str


@dataclass(frozen=True, slots=True)
class RuleFigures(Figures):
    """Figures of the dispatches of one rule, by the name it had."""

    rule: str


@dataclass(frozen=True, slots=True)
class DispatchStatistics(JsonShape):
    """Figures of the dispatches created since `since`: of all, by agent and by rule, each sorted by name."""

    since: Annotated[Instant, Field(description="if `is_cut`, when the first of the counted dispatches was created")]
    as_of: Annotated[Instant, Field(description="when the figures were looked up; they are kept for some seconds")]
    is_cut: Annotated[bool, Field(description="whether only the latest dispatches were counted")]
    overall: Figures
    agents: tuple[AgentFigures, ...]
    rules: tuple[RuleFigures, ...]
    calls: Annotated[CallCounts | None, Field(description="null if only one agent or rule was asked for")]


FATES: Final = ("waiting", "handing_over", "arrived", "no_shows", "failed", "abandoned", "cancelled")
"""What can become of a dispatch, each a field of `Figures`."""


class Tally:
    """Adds up the outcomes and waits of some dispatches."""

    def __init__(self) -> None:
        self._dispatches = 0
        self._fallbacks = 0
        self._by_fate = dict.fromkeys(FATES, 0)
        self._seconds: dict[str, list[float]] = {"arrived": [], "abandoned": []}

    def add(self, fate: str, count: int, fallbacks: int, seconds: Sequence[float]) -> None:
        """Add `count` dispatches of one fate; `seconds` are their waits."""
        self._dispatches += count
        self._fallbacks += fallbacks
        self._by_fate[fate] += count
        if fate in self._seconds:
            self._seconds[fate] += seconds

    def figures(self) -> dict[str, Any]:
        """Return the fields of `Figures`."""
        fates = self._by_fate
        decided = fates["arrived"] + fates["no_shows"] + fates["failed"] + fates["abandoned"]
        return {
            "dispatches": self._dispatches,
            **fates,
            "fallbacks": self._fallbacks,
            "no_show_share": _share(fates["no_shows"], decided),
            "abandoned_share": _share(fates["abandoned"], decided),
            "fallback_share": _share(self._fallbacks, self._dispatches),
            "seconds_to_agent": Waits.of(self._seconds["arrived"]),
            "seconds_given_up": Waits.of(self._seconds["abandoned"]),
            "histogram": histogram(self._seconds["arrived"]),
        }


def _share(count: int, total: int) -> float | None:
    return count / total if total else None


def histogram(seconds: Iterable[float]) -> tuple[Column, ...]:
    """Return how many waits fall below each of `BUCKET_BOUNDS_S` but not below the one before; last, all others."""
    ordered = sorted(seconds)
    reached = [bisect_right(ordered, bound) for bound in BUCKET_BOUNDS_S]
    counts = [after - before for before, after in pairwise((0, *reached, len(ordered)))]
    return tuple(Column(bound, count) for bound, count in zip((*BUCKET_BOUNDS_S, None), counts, strict=True))


NO_FIGURES: Final = Figures(**Tally().figures())
"""The figures of no dispatches."""
