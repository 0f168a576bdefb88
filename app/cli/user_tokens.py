"""`usher users token|tokens|revoke`: API tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from app.accounts.roles import Role
from app.accounts.tokens import LIFETIME, Token, issue_token, list_tokens, revoke_token
from app.cli.framework.database import editor, reading, shared_clock, write
from app.cli.framework.known_projects import require_known
from app.cli.framework.moment import parse_duration, show_moment
from app.cli.framework.options import ByOption, JsonOption
from app.cli.framework.terminal import note, plain, say, say_json, show, table
from app.cli.remote import users as remote
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.cli.user_access import find_named
from app.errors import InvalidInputError, Problem

_Name = Annotated[str, typer.Argument(metavar="NAME", help="name of the user")]
_Expires = Annotated[
    str | None, typer.Option("--expires", metavar="DURATION", help="such as 30d, or never (default: 90d)")
]
ProjectsOption = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="PROJECT", help="LiveKit project to restrict to; may be repeated (default: all)"),
]


@over_api
def token(
    name: _Name,
    *,
    purpose: Annotated[str, typer.Option("--name", help="what the token is for")] = "command line",
    role: Annotated[
        Role | None, typer.Option("--role", help="at most the user's own (default); decider: for /api/v1/decide alone")
    ] = None,
    project: ProjectsOption = None,
    expires: _Expires = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an API token and print it once; only its hash is stored."""
    now = shared_clock().now()
    lifetime = _lifetime(expires)

    def unit(connection: Connection) -> Any:
        user = find_named(connection, name)
        if user.projects is None:  # else only the user's own may be named
            require_known(connection, project)
        return issue_token(
            connection,
            user.id,
            purpose,
            role or user.role,
            by=editor(by),
            now=now,
            lifetime=lifetime,
            projects=project or None,
        )

    server = editing_server(by)
    if server is not None:
        made, secret = remote.issue_token(server, name, purpose, role=role, lifetime=lifetime, projects=project or None)
    else:
        made, secret = write(unit)
    if as_json:
        say_json({**made.to_json(), "token": secret})
        return
    say(secret)
    until = f"until {show_moment(made.expires_at)}" if made.expires_at else "until it is revoked (it never expires)"
    note(f"Valid for the API as {made.role} {until}; it is not shown again. To revoke it: usher users revoke {made.id}")


@over_api
def tokens(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="only of this user")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List API tokens, newest first, without their secrets."""
    server = chosen_server()
    if server is not None:
        found = remote.list_tokens(server, name)
    else:
        with reading() as connection:
            found = list_tokens(connection, None if name is None else find_named(connection, name).id)
    now = shared_clock().now()
    if as_json:
        say_json([one.to_json() for one in found])
        return
    if not found:
        say("No tokens.")
        return
    rows = table("id", "user / name", "role", "state", narrow=("id",))
    for one in found:
        who = plain(one.user_name).append("\n").append_text(plain(one.name, "dim"))
        state = _token_state(one, now)
        used = f"used {show_moment(one.last_used_at)}" if one.last_used_at else "never used"
        rows.add_row(one.id, who, str(one.role), plain(state).append("\n").append(used, "dim"))
    show(rows)


def _token_state(token: Token, now: datetime) -> str:
    if token.revoked_at:
        return "revoked"
    if token.expires_at is None:
        return "never expires"
    if not token.is_valid(now):
        return f"expired {show_moment(token.expires_at)}"
    return f"{'expires soon: ' if token.expires_soon(now) else 'until '}{show_moment(token.expires_at)}"


@over_api
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="the id of a token, see: usher users tokens")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a token, with immediate effect."""
    now = shared_clock().now()
    server = editing_server(by)
    if server is not None:
        revoked = remote.revoke_token(server, token_id)
    else:
        revoked = write(lambda connection: revoke_token(connection, token_id, by=editor(by), now=now))
    if as_json:
        say_json(revoked.to_json())
    else:
        say(f"token {revoked.name!r} of {revoked.user_name} is revoked")


def _lifetime(expires: str | None) -> timedelta | None:
    if expires is None:
        return LIFETIME
    if expires.strip().lower() == "never":
        return None
    lifetime = parse_duration(expires)
    if lifetime is None:
        message = "must be never or a duration such as 12h, 90d or 52w"
        raise InvalidInputError("usage", [Problem("--expires", message, expires)])
    return lifetime
