"""Compiles patterns into conditions that can be matched.

`matches` is the bare language. A rule's pattern is compiled with LiveKit's defaults: an alternative that does not name
`event` means `participant_joined`, one that does not name `participant.kind` is not for AGENT, EGRESS or INGRESS
participants. The defaults are flags rather than conditions, because nearly every rule has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.rules.language.consistency import Choice, is_consistent
from app.rules.language.document import DocumentView, Leaf
from app.rules.language.matcher import ABSENT, Matcher, either
from app.rules.language.pattern import EVENT, Pattern, read_pattern

KIND = "participant.kind"


@dataclass(frozen=True, slots=True)
class Condition:
    """The requirement of one alternative on one field: any of the matchers, or the field's absence."""

    path: str
    matchers: tuple[Matcher, ...]

    @property
    def may_be_absent(self) -> bool:
        return ABSENT in self.matchers

    def holds_for(self, leaf: Leaf) -> bool:
        value = leaf[0]
        for matcher in self.matchers:  # noqa: SIM110 - a generator costs more than the usual one matcher
            if matcher.holds(value):
                return True
        return False

    def choose(self, leaves: tuple[Leaf, ...], view: DocumentView) -> Choice | None:
        """Return which of several leaves, or of leaves in arrays, satisfy the condition; None when none can."""
        if not view.work.spend(len(leaves)):
            return None
        satisfied = frozenset(leaf[1] for leaf in leaves if self.holds_for(leaf))
        present = None
        if self.may_be_absent and all(leaf[1] for leaf in leaves):
            present = frozenset(leaf[1] for leaf in leaves)
        return Choice(self.path, satisfied, present) if satisfied or present else None

    def expected(self) -> str:
        """Return a description of what is expected."""
        return either(self.matchers)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Conditions that must hold together, and whether LiveKit's defaults stand in for conditions not written."""

    conditions: tuple[Condition, ...]
    default_event: bool
    default_kind: bool

    def holds(self, view: DocumentView) -> bool:
        """Return whether all conditions hold together (the defaults are judged by the caller)."""
        choices: list[Choice] | None = None
        for condition in self.conditions:
            leaves = view.leaves(condition.path)
            if not leaves:
                if not condition.may_be_absent:
                    return False
            elif len(leaves) == 1 and not leaves[0][1]:
                if not condition.holds_for(leaves[0]):
                    return False
            else:
                choice = condition.choose(leaves, view)
                if choice is None:
                    return False
                choices = [choice] if choices is None else [*choices, choice]
        if choices is None or (len(choices) == 1 and choices[0].present is None):
            return True
        return is_consistent(choices, view.work)


def compile_alternatives(pattern: Pattern) -> tuple[Alternative, ...]:
    """Return the alternatives of a pattern that was read, ready to match."""
    return tuple(
        Alternative(
            tuple(Condition(path, matchers) for path, matchers in alternative.items()),
            default_event=EVENT not in alternative,
            default_kind=KIND not in alternative,
        )
        for alternative in pattern.alternatives
    )


def matches(pattern: Any, document: Mapping[str, Any]) -> bool:
    """Return whether the document matches the pattern: the bare language, without LiveKit's defaults.

    Both are JSON as Python has it. PatternError lists every mistake in the pattern.
    """
    view = DocumentView(document)
    return any(alternative.holds(view) for alternative in compile_alternatives(read_pattern(pattern)))
