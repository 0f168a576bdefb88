"""The parts of the console that a user is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.accounts.roles import Role
from app.accounts.users import User

NAVIGATION: Final = (
    ("now", "/console/", "Now", Role.VIEWER),
    ("calls", "/console/calls", "Calls", Role.VIEWER),
    ("rules", "/console/rules", "Rules", Role.VIEWER),
    ("agents", "/console/agents", "Agents", Role.VIEWER),
    ("trends", "/console/trends", "Trends", Role.VIEWER),
    ("incidents", "/console/incidents", "Incidents", Role.VIEWER),
    ("simulate", "/console/simulate", "Simulate", Role.VIEWER),
    ("users", "/console/users", "Users", Role.ADMIN),
)

_BY_PROJECT: Final = frozenset({"calls", "incidents", "simulate", "trends"})
"""Parts of the navigation that keep to the projects which a user is restricted to."""


def navigation_of(user: User) -> Sequence[tuple[str, str, str, Role]]:
    """Return the parts of the console that the user may see: name, path, title and role of each."""
    return [
        entry
        for entry in NAVIGATION
        if user.role.includes(entry[3]) and (user.projects is None or entry[0] in _BY_PROJECT)
    ]
