"""The LiveKit projects whose events a rule can match, as its pattern says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from app.errors import InvalidInputError, Problem
from app.translation import translatable


def projects_of(pattern: Any) -> frozenset[str] | None:
    """Return the projects that a pattern names as plain values; None if it may match events of any project.

    An `$or` names what all its alternatives name together.
    """
    if not isinstance(pattern, Mapping):
        return None
    named = _names(pattern.get("project"))
    alternatives = pattern.get("$or")
    if isinstance(alternatives, list) and alternatives:
        found = [projects_of(one) for one in alternatives]
        if all(one is not None for one in found):
            together = frozenset(name for one in found if one is not None for name in one)
            return together if named is None else named & together
    return named


def may_match(pattern: Any, projects: Collection[str] | None) -> bool:
    """Return whether a rule with this pattern concerns one of `projects` (None: all)."""
    named = projects_of(pattern)
    return projects is None or named is None or not named.isdisjoint(projects)


def require_only(pattern: Any, projects: Collection[str] | None) -> None:
    """Raise InvalidInputError if the pattern may match events of other than `projects` (None: all are allowed)."""
    if projects is None:
        return
    named = projects_of(pattern)
    if named is None or not named <= set(projects):
        message = translatable("must name your projects and no others: %(names)s", names=", ".join(sorted(projects)))
        found = None if named is None else ", ".join(sorted(named))
        raise InvalidInputError(
            translatable("this rule is not yours to write"), [Problem("pattern.project", message, found)]
        )


def _names(values: Any) -> frozenset[str] | None:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        return None
    return frozenset(values)
