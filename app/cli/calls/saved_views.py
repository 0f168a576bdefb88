"""`usher calls views`, and `--view`: saved views of the list of calls on the command line."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Annotated, Final
from urllib.parse import unquote_plus

import typer

from app.accounts.saved_views import SavedView, list_shared_views, plain_name
from app.audit import CallFilter, read_saved_query
from app.cli.framework.database import reading, shared_clock
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import say, say_json, show, stacked, table
from app.cli.remote import calls as remote
from app.cli.remote.choice import chosen_server, over_api, refuse_with_server
from app.cli.user_access import find_named
from app.errors import InvalidInputError, NotFoundError, Problem, did_you_mean

ViewOption = Annotated[
    str | None,
    typer.Option("--view", metavar="NAME", help="filters of this saved view; other options take the place of its own"),
]
ViewUserOption = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="with the private views of this user, not only shared ones")
]


@over_api
def views(*, user: ViewUserOption = None, as_json: JsonOption = False) -> None:
    """List saved views of the list of calls; with --server, those that the token's user sees."""
    found = _read(user)
    if as_json:
        say_json([view.to_json() for view in found])
        return
    if not found:
        say("No saved views. Save one: usher calls save-view NAME --user USER, or below the filters in the console.")
        return
    rows = table("view", "filters", "owner")
    for view in found:
        owner = f"{view.owner}, shared" if view.shared else view.owner
        rows.add_row(stacked(view.name, f"project {view.project}" if view.project else ""), _described(view), owner)
    show(rows)


def with_view(chosen: CallFilter, name: str | None, user: str | None) -> CallFilter:
    """Return the filters of a view with those of the options, which go before them; without a name, these alone.

    Raises NotFoundError for a name that no view has, InvalidInputError for filters that cannot be read.
    """
    if name is None:
        if user is not None:
            raise InvalidInputError("usage", [Problem("--user", "needs --view")])
        return chosen
    found = _read(user)
    view = next((one for one in found if plain_name(one.name) == plain_name(name)), None)
    if view is None:
        hint = did_you_mean(name, [one.name for one in found], "usher calls views")
        raise NotFoundError(f"no saved view is named {name!r}{hint}")
    now = shared_clock().now()
    offset = now.astimezone().utcoffset()
    minutes = 0 if offset is None else -int(offset.total_seconds() // 60)  # as JavaScript counts it
    query = read_saved_query(f"{view.query}&zone={minutes}", now)
    if query.problems:
        raise InvalidInputError(f"the filters of the view {name!r} cannot be read", list(query.problems))
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    return replace(query.chosen, **{key: value for key, value in given.items() if value != getattr(_NONE, key)})


_NONE: Final = CallFilter()


def _read(user: str | None) -> list[SavedView]:
    server = chosen_server()
    if server is not None:
        refuse_with_server(user=user)
        return remote.read_views(server)
    with reading() as connection:
        if user is not None:
            find_named(connection, user)
        return list_shared_views(connection, user)


def _described(view: SavedView) -> str:
    problems = read_saved_query(view.query, shared_clock().now()).problems
    text = unquote_plus(view.query.replace("&", ", "))
    return f"{text} (cannot be read: {'; '.join(map(str, problems))})" if problems else text
