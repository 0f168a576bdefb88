"""`usher calls save-view` and `delete-view`: the saved views of a user."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

import typer
from sqlalchemy import Connection

from app.accounts.saved_views import SavedView, ViewUser, delete_view, list_views, plain_name
from app.accounts.saved_views import save_view as save
from app.audit import CallFilter
from app.cli.calls.filter_options import call_filter
from app.cli.framework.database import shared_clock, write
from app.cli.framework.options import JsonOption, choosing
from app.cli.framework.terminal import say, say_json
from app.cli.remote import calls as remote
from app.cli.remote.choice import chosen_server, over_api, refuse_with_server
from app.cli.user_access import find_named
from app.db.types import format_instant
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem, did_you_mean

_User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="whose view it is, needed at the database; else the token's user"),
]


@over_api
@choosing(call_filter)
def save_view(
    chosen: CallFilter,
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the new view")],
    *,
    range_: Annotated[
        Literal["hour", "today", "yesterday"] | None,
        typer.Option("--range", help="calls of these hours, whenever the view is used; --since and --until stay"),
    ] = None,
    shared: Annotated[
        bool | None,
        typer.Option("--shared/--private", help="with everybody, or not; default: private, or as the replaced view"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="the view that you have under this name, if any")] = False,
    user: _User = None,
    as_json: JsonOption = False,
) -> None:
    """Save filters of the list of calls under a name; --replace changes the view that has the name already."""
    query, server, now = _query(chosen, range_), chosen_server(), shared_clock().now()

    def unit(connection: Connection) -> SavedView:
        owner = _owner(connection, user)
        return save(connection, owner, name, query, now=now, shared=shared, replace=replace)

    try:
        if server is not None:
            refuse_with_server(user=user)
            view = remote.save_view(server, name, query, shared=shared, replace=replace)
        else:
            view = write(unit)
    except ConflictError as error:
        raise ConflictError(f"{error}; to save these filters in its place: --replace") from error
    if as_json:
        say_json(view.to_json())
    else:
        whose = "" if user is None else f" --user {user!r}"
        say(f"saved as {view.name!r}; usher calls list --view {view.name!r}{whose}")


@over_api
def delete_a_view(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of a view, or its id")],
    *,
    user: _User = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a saved view: one of the user's own or, for admins, a shared one."""
    server = chosen_server()
    if server is not None:
        refuse_with_server(user=user)
        view = remote.delete_view(server, _named(remote.read_views(server), name).id)
    else:
        view = write(partial(_delete, name=name, user=user, now=shared_clock().now()))
    if as_json:
        say_json(view.to_json())
    else:
        say(f"deleted the view {view.name!r} of {view.owner}")


def _delete(connection: Connection, name: str, user: str | None, now: datetime) -> SavedView:
    owner = _owner(connection, user)
    views = list_views(connection, owner)
    own = [one for one in views if one.owner_id == owner.id and plain_name(one.name) == plain_name(name)]
    return delete_view(connection, _named(own or views, name).id, owner, now=now)


def _named(views: list[SavedView], name: str) -> SavedView:
    """Return the view with an id or a name; raises NotFoundError, and InvalidInputError if several have it."""
    found = [one for one in views if name == one.id or plain_name(one.name) == plain_name(name)]
    if not found:
        hint = did_you_mean(name, [one.name for one in views], "usher calls views")
        raise NotFoundError(f"no saved view is named {name!r}{hint}")
    if len(found) > 1:
        ids = ", ".join(f"{one.id} of {one.owner}" for one in found)
        raise InvalidInputError("usage", [Problem("NAME", f"is that of several views; give the id of one: {ids}")])
    return found[0]


def _owner(connection: Connection, name: str | None) -> ViewUser:
    if name is None:
        raise InvalidInputError("usage", [Problem("--user", "is needed: a view belongs to a user")])
    user = find_named(connection, name)
    projects = None if user.projects is None else frozenset(user.projects)
    return ViewUser(user.id, user.name, user.role, projects)


def _query(chosen: CallFilter, range_: str | None) -> str:
    """Return the filters as the address of the list of calls has them."""
    if range_ is not None and (chosen.since or chosen.until):
        raise InvalidInputError("usage", [Problem("--range", "is not possible with --since or --until")])
    if len(chosen.states) > 1:
        raise InvalidInputError("usage", [Problem("--state", "a view has one state")])
    if any("," in part for pair in chosen.metadata for part in pair):
        raise InvalidInputError("usage", [Problem("--metadata", "a view has no fields or values with a comma")])
    if chosen == CallFilter() and range_ is None:
        raise InvalidInputError("usage", [Problem("filters", "must be at least one filter, such as --agent NAME")])
    fields = {
        "q": chosen.q,
        "state": next(iter(chosen.states), None),
        "outcome": chosen.outcome,
        "agent": chosen.agent,
        "rule": chosen.rule,
        "direction": chosen.direction,
        "project": chosen.project,
        "metadata": ",".join(map("=".join, chosen.metadata)),
        "range": range_,
        "since": chosen.since and format_instant(chosen.since),
        "until": chosen.until and format_instant(chosen.until),
    }
    return urlencode({name: value for name, value in fields.items() if value})
