"""What the editor of a rule shows besides its form, from one request to its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.audit import DispatchStatistics, Rollout
from app.errors import Problem
from app.flows.rule_trial import Trial
from app.rules.editing.history import RuleChange
from app.rules.editing.stored_rules import StoredRule
from app.rules.simulation.simulate import Simulation
from app.server.caches.objectives_cache import Objectives
from app.server.console.rule_pages.editor.call_fields import CallField
from app.server.console.rule_pages.editor.starting_points import StartingPoint
from app.server.console.rule_pages.rule_switches import RuleOrder
from app.server.workers.rule_jobs import TriedDraft


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of the saved rule."""

    figures: DispatchStatistics
    objectives: Objectives
    rollout: Rollout | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What the editor shows, besides the form; `deleted`: how its rule was deleted while it was edited."""

    rule: StoredRule | None = None
    problems: Sequence[Problem] = ()
    tried: TriedDraft | None = None
    results: Results | None = None
    conflict: str = ""
    other_edit: Sequence[Any] = ()
    deleted: RuleChange | None = None
    start: StartingPoint | None = None
    status: int = 200
    is_changed: bool = True
    order: RuleOrder | None = None
    call_fields: Sequence[CallField] = ()
    simulation: Simulation | None = None


def trial_values(tried: TriedDraft | None) -> dict[str, Any]:
    """Return what the templates show of a draft that was tried, or was not."""
    tried = tried or TriedDraft([])
    return {
        "tried": tried.events is not None,
        "warnings": tried.warnings,
        "events": tried.events or 0,
        "matching": tried.matching,
        "matches": tried.matches,
        "served": tried.served,
        "others": tried.others,
        "sample": tried.sample,
        "why_none": _only_reason(tried.others) if tried.events and not tried.matches else "",
    }


def _only_reason(others: Sequence[Trial]) -> str:
    """Return why events do not match, if all of these have the same reason, such as a pause."""
    reasons = {trial.verdict.describe() for trial in others}
    return reasons.pop() if len(reasons) == 1 else ""
