"""Compiles patterns into conditions that can be matched.

`matches` is the bare language. A rule's pattern is compiled with LiveKit's defaults: an alternative that names no
`event` means `participant_joined`; one that names neither role nor kind of the participant is for callers, and one that
names a kind is for that kind where the role follows from it. The defaults are kept apart from the conditions, because
nearly every rule has them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import IntEnum
from functools import lru_cache
from itertools import starmap
from typing import Any, Final, NamedTuple

from app.livekit.participant.role import ROLE_OF_KIND, Role
from app.rules.language.consistency import Choice, is_consistent
from app.rules.language.document import DocumentView, Leaf
from app.rules.language.matcher import ABSENT, Matcher, either
from app.rules.language.pattern import EVENT, Pattern, read_pattern
from app.translation import translatable

KIND: Final = "participant.kind"
ROLE: Final = "participant.role"
_PARTICIPANT: Final = "participant"
_CALLER: Final = ((Role.CALLER.value, ()),)


class Audience(IntEnum):
    """The participants that an alternative may match, from the fewest to all."""

    CALLERS = 0
    """Callers, and events without a participant."""
    BY_KIND = 1
    """Also participants whose role follows from their kind."""
    ALL = 2
    """Also those of any other role, and those whose role is not known."""

    def expected(self) -> str:
        """Return a description of the roles of this audience, and of why they are asked for."""
        if self is Audience.CALLERS:
            return translatable('"caller", because the pattern names neither a role nor a kind of participant')
        return translatable('"caller", or the role of its kind, because the pattern names a kind but no role')


def audience_of_pattern(paths: Container[str]) -> Audience:
    """Return the audience of an alternative that names these paths."""
    if ROLE in paths:
        return Audience.ALL
    return Audience.BY_KIND if KIND in paths else Audience.CALLERS


class Condition(NamedTuple):
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


class Alternative(NamedTuple):
    """Conditions that must hold together, and whether LiveKit's defaults stand in for conditions not written."""

    conditions: tuple[Condition, ...]
    default_event: bool
    audience: Audience

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
            tuple(starmap(_condition, alternative.items())),
            default_event=EVENT not in alternative,
            audience=audience_of_pattern(alternative),
        )
        for alternative in pattern.alternatives
    )


@lru_cache(maxsize=4096)
def _condition(path: str, matchers: tuple[Matcher, ...]) -> Condition:
    """Return one object for all equal conditions: rules repeat each other's."""
    return Condition(path, matchers)


def audience_of_document(view: DocumentView) -> Audience:
    """Return the smallest audience that the document's participant belongs to."""
    roles = view.leaves(ROLE)
    if roles == _CALLER:
        return Audience.CALLERS
    if not roles:
        return Audience.ALL if view.has(_PARTICIPANT) else Audience.CALLERS
    kinds = view.leaves(KIND)
    if len(roles) == len(kinds) == 1 and ROLE_OF_KIND.get(str(kinds[0][0])) == roles[0][0]:
        return Audience.BY_KIND
    return Audience.ALL


def matches(pattern: Any, document: Mapping[str, Any]) -> bool:
    """Return whether the document matches the pattern: the bare language, without LiveKit's defaults.

    Both are JSON as Python has it. PatternError lists every mistake in the pattern.
    """
    view = DocumentView(document)
    return any(alternative.holds(view) for alternative in compile_alternatives(read_pattern(pattern)))
