"""What somebody may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each role may do what those before it may: look; change rules and dispatches; manage people."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Return whether this role may do whatever `other` may."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER = tuple(Role)


def weaker(one: Role, other: Role) -> Role:
    """Return the role that may do less."""
    return other if one.includes(other) else one
