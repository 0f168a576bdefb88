"""`usher users sessions|end-session|logout|logins`: who is logged in, and who logged in, failed to, or was refused."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from app.accounts.access_log import Access, AccessFilter, list_accesses
from app.accounts.sessions import end_session as end_a_session
from app.accounts.sessions import list_sessions, session_limits
from app.accounts.users import User, find_user, list_users, log_out_everywhere
from app.cli.calls.filter_options import period
from app.cli.framework.database import editor, reading, shared_clock, write
from app.cli.framework.moment import show_moment
from app.cli.framework.options import ByOption, JsonOption, LimitOption
from app.cli.framework.terminal import plain, say, say_json, show, stacked, table
from app.cli.remote import users as remote
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.db.types import AccessKind
from app.errors import NotFoundError, did_you_mean
from app.settings import read_settings

_OptionalName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="only of this user")]


@over_api
def sessions(name: _OptionalName = None, *, as_json: JsonOption = False) -> None:
    """List the sessions of the console, last used first."""
    server = chosen_server()
    if server is not None:
        found = remote.list_sessions(server, name)
    else:
        settings, now = read_settings(without_livekit=True), shared_clock().now()
        with reading(settings) as connection:
            user_id = None if name is None else find_named(connection, name).id
            found = list_sessions(connection, now, session_limits(settings), user_id)
    if as_json:
        say_json([one.to_json() for one in found])
        return
    if not found:
        say("No sessions.")
        return
    rows = table("id", "user / address", "last used / began", "browser", narrow=("id",))
    for one in found:
        who = stacked(one.user_name, one.address)
        when = stacked(show_moment(one.last_seen_at), show_moment(one.created_at))
        rows.add_row(one.id, who, when, plain(one.user_agent))
    show(rows)


@over_api
def end_session(
    session_id: Annotated[str, typer.Argument(metavar="SESSION", help="the id of a session: usher users sessions")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a session, with immediate effect."""
    now = shared_clock().now()
    server = editing_server(by)
    if server is not None:
        ended = remote.end_session(server, session_id)
    else:
        ended = write(lambda connection: end_a_session(connection, session_id, by=editor(by), now=now))
    if as_json:
        say_json(ended.to_json())
    else:
        say(f"a session of {ended.user_name} has ended")


@over_api
def log_out(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the user")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """End all sessions of a user; unused links to choose a password become invalid, too."""
    now = shared_clock().now()
    server = editing_server(by)
    if server is not None:
        user = remote.log_out(server, name)
    else:
        user = write(
            lambda connection: log_out_everywhere(connection, find_named(connection, name).id, by=editor(by), now=now)
        )
    if as_json:
        say_json(user.to_json())
    else:
        say(f"all sessions of {user.name} have ended")


@over_api
def logins(
    name: _OptionalName = None,
    *,
    kind: Annotated[list[AccessKind] | None, typer.Option("--kind", help="only of this kind; repeatable")] = None,
    address: Annotated[str | None, typer.Option("--address", help="only from this address")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help="not before: 24h, 14:02, ...")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="before: as for --since")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List logins, failed logins and refused requests, newest first; equal ones of a minute are one row."""
    begin, end = period(since, until)
    wanted = AccessFilter(name, tuple(kind or ()), address, begin, end)
    server = chosen_server()
    if server is not None:
        chosen = {"user": name, "kind": kind, "address": address, "since": begin, "until": end}
        found = list(server.pages("/logins", chosen, Access, limit))
    else:
        with reading() as connection:
            found = list_accesses(connection, wanted, limit=limit).items
    if as_json:
        say_json([one.to_json() for one in found])
        return
    if not found:
        say("Nothing recorded.")
        return
    rows = table("when", "what", "user / address", "times")
    for one in found:
        what = stacked(str(one.kind).replace("_", " "), one.detail)
        who = stacked(one.user_name, one.address)
        rows.add_row(show_moment(one.happened_at), what, who, str(one.count))
    show(rows)


def find_named(connection: Connection, name: str) -> User:
    """Return the user with a name; raises NotFoundError if there is none."""
    user = find_user(connection, name)
    if user is None:
        names = (one.name for one in list_users(connection))
        raise NotFoundError(f"no user is named {name!r}{did_you_mean(name, names, 'usher users list')}")
    return user
