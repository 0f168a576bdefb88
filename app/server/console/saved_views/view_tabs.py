"""What the page Calls shows of saved views: the views of its user, and which of them the list is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from app.accounts.roles import read_projects
from app.accounts.saved_views import SavedView, ViewUser, list_views
from app.audit import CallQuery, read_saved_query
from app.server.console.call_filters import CallFilters
from app.server.console.framework import PageRequest


@dataclass(frozen=True, slots=True)
class ViewTab:
    """One view as a link above the list; `problems`: which of its filters cannot be read."""

    view: SavedView
    address: str
    filters: str
    problems: tuple[str, ...]
    is_own: bool
    is_current: bool


def view_user(request: PageRequest) -> ViewUser:
    """Return the user of the session, as views know it."""
    user = request.signed_in
    return ViewUser(user.id, user.name, user.role, read_projects(user.projects))


async def view_tabs(request: PageRequest, query: CallQuery | None = None) -> Sequence[ViewTab]:
    """Return the views that the user sees; the current one is that of the filters in `query`."""
    user, now = view_user(request), request.context.now
    views = await request.context.read(partial(list_views, user=user))
    current = None if query is None or query.problems else query.saved
    tabs = []
    for view in views:
        stored = read_saved_query(view.query, now)
        tabs.append(
            ViewTab(
                view,
                f"/console/calls?{view.query}",
                CallFilters(stored, stored.problems).as_text,
                tuple(map(str, stored.problems)),
                view.owner_id == user.id,
                view.query == current,
            )
        )
    return tabs
