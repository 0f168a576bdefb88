"""Roles of users and tokens."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each role includes those before it: read; change rules and dispatches; manage users and tokens."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Return whether this role permits everything that `other` permits."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER = tuple(Role)


def lower_of(one: Role, other: Role) -> Role:
    """Return the role that permits less."""
    return other if one.includes(other) else one
