"""The decision about an event, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.db.columns.action_types import RuleAction
from app.rules.language.matcher import show_value
from app.rules.rule import Rule
from app.translation import joined, translatable

_SHOWN = 20
_LONGEST = 200


class Outcome(StrEnum):
    """The result of one rule for one event."""

    MATCHED = "matched"
    DISABLED = "disabled"
    PATTERN = "pattern"
    PAUSED = "paused"
    OUT_OF_HOURS = "out_of_hours"
    OUTSIDE_ROLLOUT = "outside_rollout"
    SHADOWED = "shadowed"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first condition that failed: its path, a description of what was expected, and the values found.

    `found` holds at most a few values, shortened; it is empty when the field is not there.
    """

    path: str
    expected: str
    found: tuple[str, ...]
    held: int = 0
    """How many of the pattern's conditions held."""
    conditions: int = 1

    def describe(self) -> str:
        return translatable(
            "%(path)s: expected %(expected)s, found %(found)s",
            path=self.path,
            expected=self.expected,
            found=joined(", ", self.found) if self.found else translatable("nothing"),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one rule matched or not; `mismatch` goes with PATTERN, `shadowed_by` with SHADOWED, `problems` with BAD."""

    rule_id: int
    rule_name: str
    outcome: Outcome
    mismatch: Mismatch | None = None
    shadowed_by: str | None = None
    detail: str = ""

    def describe(self) -> str:
        """Return the reason in one line, for people."""
        match self.outcome:
            case Outcome.MATCHED:
                return translatable("matched")
            case Outcome.DISABLED:
                return translatable("is disabled")
            case Outcome.PATTERN:
                return self.mismatch.describe() if self.mismatch else translatable("its pattern did not match")
            case Outcome.PAUSED:
                return translatable("would match, but is paused until %(time)s", time=self.detail)
            case Outcome.OUT_OF_HOURS:
                return translatable("would match, but is out of hours: %(detail)s", detail=self.detail)
            case Outcome.OUTSIDE_ROLLOUT:
                return translatable("would match, but this one is outside its rollout: %(detail)s", detail=self.detail)
            case Outcome.SHADOWED:
                return translatable(
                    "would match, but rule %(rule)s before it ended the search", rule=repr(self.shadowed_by)
                )
            case Outcome.BAD:
                return translatable("cannot be used: %(detail)s", detail=self.detail)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON, without the fields that do not apply."""
        document: dict[str, Any] = {"rule_id": self.rule_id, "rule": self.rule_name, "outcome": str(self.outcome)}
        if self.mismatch is not None:
            document |= {
                "path": self.mismatch.path,
                "expected": self.mismatch.expected,
                "found": list(self.mismatch.found),
            }
        if self.shadowed_by is not None:
            document["shadowed_by"] = self.shadowed_by
        if self.detail:
            document["detail"] = self.detail
        return document


@dataclass(frozen=True, slots=True)
class Decision:
    """Which rules an event goes to, in the order they are served.

    `passed_over` are the rules whose pattern matched but which were paused, out of hours or outside their rollout.
    `verdicts` has one for every rule of the book in its order, bad ones too, when the decision was explained; else it
    is None.
    """

    rules_version: int
    matched: tuple[Rule, ...]
    passed_over: tuple[Verdict, ...] = ()
    verdicts: tuple[Verdict, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is stored with the event: rules that matched or nearly did, bounded in size."""
        document: dict[str, Any] = {
            "rules_version": self.rules_version,
            "matched": [_matched(rule) for rule in self.matched[:_SHOWN]],
        }
        if len(self.matched) > _SHOWN:
            document["matched_in_all"] = len(self.matched)
        if self.passed_over:
            document["passed_over"] = [verdict.to_json() for verdict in self.passed_over[:_SHOWN]]
        return document

    def explain(self) -> list[str]:
        """Return one readable line for every rule that was judged."""
        judged = self.passed_over if self.verdicts is None else self.verdicts
        return [f"{verdict.rule_name}: {verdict.describe()}" for verdict in judged]


def _matched(rule: Rule) -> dict[str, Any]:
    """Return a rule that matched, with its action if it is not to dispatch an agent."""
    named: dict[str, Any] = {"rule_id": rule.id, "rule": rule.name}
    return named if rule.action is RuleAction.DISPATCH else {**named, "action": rule.action.value}


def shortened(values: list[Any]) -> tuple[str, ...]:
    """Return the texts of a few values, each shortened."""
    shown = []
    for value in values[:3]:
        text = show_value(value) if not isinstance(value, (Mapping, list)) else translatable("an object or a list")
        shown.append(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
    if len(values) > len(shown):
        shown.append(translatable("and %(count)s more", count=len(values) - len(shown)))
    return tuple(shown)
