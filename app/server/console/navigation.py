"""The parts of the console that a user is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from app.accounts.roles import Role
from app.accounts.users import User
from app.errors import NotFoundError, UsherError

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
_PAGES_BY_PROJECT: Final = tuple(f"/console/{name}" for name in (*sorted(_BY_PROJECT), "queue", "views", "account"))
_PAGES_OF_EDITORS: Final = ("/console/rules/new", "/console/new-lookup")
_PAGES_OF_ADMINS: Final = ("/console/notifications", "/console/users", "/console/logins", "/console/reads")
"""What the routes of pages require, by the beginnings of their addresses; all other pages are for viewers."""

_LISTS: Final = (
    ("usher rules list", "/console/rules", "Rules"),
    ("usher rules history", "/console/history", "History"),
    ("usher agents list", "/console/agents", "Agents"),
    ("usher lookups list", "/console/lookups", "Lookups"),
    ("usher incidents list", "/console/incidents", "Incidents"),
    ("usher calls list", "/console/calls", "Calls"),
    ("usher users list", "/console/users", "Users"),
)
"""Pages that list something: the command that does the same, their addresses and titles."""


def facts_of_error(error: UsherError, path: str) -> dict[str, Any]:
    """Return what the page at `path` says of an error; `listed`: address and title of the list to look at, or None."""
    facts = {"message": str(error), "listed": None, "status_code": error.status}
    if not isinstance(error, NotFoundError):
        return facts
    listed = {command: (address, title) for command, address, title in _LISTS}.get(error.listed_by)
    above = next(((address, title) for _, address, title in _LISTS if path.startswith(address)), None)
    return {**facts, "message": error.plain_message, "listed": listed or above}


def may_open(user: User, page: str) -> bool:
    """Return whether the user may open a page that another one links to; `page` is its address."""
    admin, editor = page.startswith(_PAGES_OF_ADMINS), page.startswith(_PAGES_OF_EDITORS)
    if not user.role.includes(Role.ADMIN if admin else Role.EDITOR if editor else Role.VIEWER):
        return False
    return user.projects is None or page.startswith(_PAGES_BY_PROJECT)


def navigation_of(user: User) -> Sequence[tuple[str, str, str, Role]]:
    """Return the parts of the console that the user may see: name, path, title and role of each."""
    return [
        entry
        for entry in NAVIGATION
        if user.role.includes(entry[3]) and (user.projects is None or entry[0] in _BY_PROJECT)
    ]
