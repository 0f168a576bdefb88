"""Roles of users and tokens, and the LiveKit projects that they are restricted to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from app.errors import InvalidInputError, NotAllowedError, Problem, names_like
from app.translation import translatable

MAX_PROJECT_NAME = 200

Projects = frozenset[str] | None
"""The projects that a user or token may read and change; None: all, also those to come."""


class Role(StrEnum):
    """Decider: ask which agents an access token gets. Viewer: read. Editor: both, and change. Admin: manage users."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    DECIDER = "decider"

    def includes(self, other: Role) -> bool:
        """Return whether this role permits everything that `other` permits."""
        return other in _INCLUDED[self]

    def require(self, other: Role) -> None:
        """Raise NotAllowedError unless this role includes `other`."""
        if not self.includes(other):
            message = translatable("this needs the role %(role)s; yours is %(own)s", role=other.label, own=self.label)
            raise NotAllowedError(message)

    @property
    def label(self) -> str:
        """The name of the role, which pages translate."""
        return translatable(self.value)


_INCLUDED = {
    Role.DECIDER: frozenset({Role.DECIDER}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.EDITOR: frozenset({Role.DECIDER, Role.VIEWER, Role.EDITOR}),
    Role.ADMIN: frozenset(Role),
}


def require_role(text: str) -> Role:
    """Return the role with this name; InvalidInputError if there is none."""
    try:
        return Role(text)
    except ValueError as error:
        message = f"must be {', '.join(Role)}"
        raise InvalidInputError("this user cannot be changed", [Problem("role", message, text)]) from error


def lower_of(one: Role, other: Role) -> Role | None:
    """Return the role that permits what both permit; None if that is nothing."""
    if one.includes(other):
        return other
    return one if other.includes(one) else None


def both(one: Projects, other: Projects) -> Projects:
    """Return the projects that both restrictions allow."""
    if one is None:
        return other
    return one if other is None else one & other


def read_projects(stored: Iterable[str] | None) -> Projects:
    """Return the restriction in a stored list."""
    return None if stored is None else frozenset(stored)


def projects_in(stored: object) -> tuple[str, ...] | None:
    """Return the names in a restriction as its column holds it; None: all projects.

    Plain SQL may have stored what is no list of names: what is none in it permits nothing.
    """
    if stored is None:
        return None
    return tuple(name for name in stored if isinstance(name, str)) if isinstance(stored, list) else ()


def stored_projects(projects: Collection[str] | None) -> list[str] | None:
    """Return how a restriction is stored: its names in order; raises InvalidInputError for one that is no name."""
    if projects is None:
        return None
    message = translatable("must have 1 to %(most)s characters", most=MAX_PROJECT_NAME)
    problems = [
        Problem("projects", message, name[:MAX_PROJECT_NAME])
        for name in projects
        if not 1 <= len(name) <= MAX_PROJECT_NAME
    ]
    if not projects:
        problems.append(Problem("projects", translatable("must name at least one project; leave it out for all")))
    if problems:
        raise InvalidInputError(translatable("these projects cannot be used"), problems)
    return sorted(set(projects))


def require_known_projects(projects: Collection[str] | None, known: Collection[str]) -> None:
    """Raise InvalidInputError, with the nearest names, unless all `projects` are among the `known` ones.

    A restriction to a project that is spelled wrongly would show its user nothing, without a reason.
    """
    names = ", ".join(map(repr, sorted(known)))
    problems = [
        Problem(
            "projects",
            translatable(
                "%(name)s is none of the LiveKit projects that are configured: %(names)s", name=repr(name), names=names
            ),
            name,
            next(iter(names_like(name, known)), None),
        )
        for name in sorted(set(projects or ()) - set(known))
    ]
    if problems:
        raise InvalidInputError(translatable("these projects cannot be used"), problems)
