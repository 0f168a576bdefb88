"""`usher users`: users of the console; `user_tokens.py` has API tokens, `user_access.py` sessions and logins."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from app.accounts.links import PASSWORD_LIFETIME, password_code
from app.accounts.password import NO_PASSWORD, check_password, hash_password
from app.accounts.roles import Role
from app.accounts.signing_key import require_served_key, signing_key
from app.accounts.tokens import list_tokens
from app.accounts.users import (
    User,
    add_user,
    delete_user,
    list_users,
    set_disabled,
    set_password,
    set_projects,
    set_role,
)
from app.cli.framework.database import editor, reading, shared_clock, write
from app.cli.framework.known_projects import require_known
from app.cli.framework.moment import show_moment
from app.cli.framework.options import ByOption, JsonOption
from app.cli.framework.terminal import note, plain, require_consent, say, say_json, show, table
from app.cli.remote import users as remote
from app.cli.remote.choice import chosen_server, editing_server, over_api, refuse_with_server
from app.cli.user_access import end_session, find_named, log_out, logins, sessions
from app.cli.user_tokens import ProjectsOption, revoke, token, tokens
from app.errors import InvalidInputError, Problem
from app.settings import Settings, local_url, read_settings

app = typer.Typer(help="Users of the console, their sessions and API tokens.", no_args_is_help=True)
app.command("token")(token)
app.command("tokens")(tokens)
app.command("revoke")(revoke)
app.command("logins")(logins)
app.command("sessions")(sessions)
app.command("end-session")(end_session)
app.command("logout")(log_out)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="name of the user")]
_Role = Annotated[
    Role,
    typer.Option(
        "--role",
        help="viewer: read; editor: also change rules and calls; admin: also users; decider: only /api/v1/decide",
    ),
]
_PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="read the password from standard input")]


@app.command("list")
@over_api
def list_(*, as_json: JsonOption = False) -> None:
    """List users by name."""
    server = chosen_server()
    if server is not None:
        users, tokens = remote.list_users(server), remote.list_tokens(server, None)
    else:
        with reading() as connection:
            users, tokens = list_users(connection), list_tokens(connection)
    now = shared_clock().now()
    if as_json:
        say_json([user.to_json() for user in users])
        return
    if not users:
        say("No users yet. Add the first: usher users add NAME --role admin")
        return
    rows = table("name", "role", "state", "tokens", "since", "last login")
    for user in users:
        valid = sum(token.user_id == user.id and token.is_valid(now) for token in tokens)
        can_log_in = user.has_password or user.has_identity
        state = "disabled" if user.disabled else "active" if can_log_in else "no password yet"
        style = "red" if user.disabled else ""
        rows.add_row(
            plain(user.name),
            str(user.role),
            plain(state, style),
            str(valid),
            show_moment(user.created_at),
            show_moment(user.last_login_at) or "never",
        )
    show(rows)


@app.command()
@over_api
def add(
    name: _Name,
    *,
    role: _Role = Role.VIEWER,
    project: ProjectsOption = None,
    password_stdin: _PasswordStdin = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a user and print a link for choosing a password, unless one is given."""
    server = editing_server(by)
    if server is not None:
        refuse_with_server(password_stdin=password_stdin)
        user, link = remote.add_user(server, name, role, project or None)
        _print_user(user, f"{user.name} added as {user.role}", link, as_json=as_json)
        return
    settings = read_settings(without_livekit=True)
    now = shared_clock().now()
    hashed = _read_password(name) if password_stdin else NO_PASSWORD

    def unit(connection: Connection) -> tuple[User, str]:
        require_known(connection, project)
        user = add_user(connection, name, role, by=editor(by), now=now, password_hash=hashed, projects=project or None)
        return user, "" if password_stdin else _key_of_links(connection, settings, now)

    user, key = write(unit, settings)
    link = "" if password_stdin else _password_link(settings, key, user, now)
    _print_user(user, f"{user.name} added as {user.role}", link, as_json=as_json)


@app.command()
def password(
    name: _Name, *, password_stdin: _PasswordStdin = False, by: ByOption = None, as_json: JsonOption = False
) -> None:
    """Print a link for choosing a new password, or set the one given, which ends all sessions of the user."""
    settings = read_settings(without_livekit=True)
    now = shared_clock().now()
    hashed = _read_password(name) if password_stdin else None

    def unit(connection: Connection) -> tuple[User, str]:
        user = find_named(connection, name)
        if hashed is not None:
            return set_password(connection, user.id, hashed, by=editor(by), now=now), ""
        return user, _key_of_links(connection, settings, now)

    user, key = write(unit, settings)
    before = "keeps the old one until then" if user.has_password else "has no password yet"
    done = f"{user.name} {'has the new password' if hashed is not None else before}"
    link = "" if hashed is not None else _password_link(settings, key, user, now)
    _print_user(user, done, link, as_json=as_json)


@app.command("role")
@over_api
def role_(
    name: _Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, editor, admin or decider")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the role of a user."""
    now = shared_clock().now()
    server = editing_server(by)
    if server is not None:
        user = remote.change_user(server, name, role=role)
    else:
        user = write(
            lambda connection: set_role(connection, find_named(connection, name).id, role, by=editor(by), now=now)
        )
    _print_user(user, f"{user.name} is {user.role}", as_json=as_json)


@app.command()
@over_api
def projects(
    name: _Name,
    project: Annotated[list[str] | None, typer.Argument(metavar="[PROJECT]...", help="LiveKit projects")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="end the restriction")] = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restrict a user to LiveKit projects: only their calls and rules can be seen and changed."""
    if bool(project) is all_:
        raise InvalidInputError("usage", [Problem("PROJECT", "give the projects, or --all", None)])
    now = shared_clock().now()

    def unit(connection: Connection) -> User:
        user = find_named(connection, name)
        require_known(connection, project, user.projects)
        return set_projects(connection, user.id, project, by=editor(by), now=now)

    server = editing_server(by)
    user = remote.change_user(server, name, projects=project or None) if server is not None else write(unit)
    shown = "all projects" if user.projects is None else ", ".join(user.projects)
    _print_user(user, f"{user.name} may see {shown}", as_json=as_json)


@app.command()
@over_api
def disable(name: _Name, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Disable a user, with all sessions and tokens, at once."""
    _set_disabled(name, by, disabled=True, as_json=as_json)


@app.command()
@over_api
def enable(name: _Name, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Enable a user again."""
    _set_disabled(name, by, disabled=False, as_json=as_json)


@app.command()
@over_api
def delete(
    name: _Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a user, with all sessions and tokens; histories keep the name."""
    now = shared_clock().now()
    server = editing_server(by)
    if server is None:
        with reading() as connection:
            find_named(connection, name)
    if not yes:
        require_consent(f"Delete {name} with all sessions and tokens?")
    if server is not None:
        user = remote.delete_user(server, name)
    else:
        user = write(
            lambda connection: delete_user(connection, find_named(connection, name).id, by=editor(by), now=now)
        )
    _print_user(user, f"{user.name} is deleted", as_json=as_json)


def _set_disabled(name: str, by: str | None, *, disabled: bool, as_json: bool) -> None:
    now = shared_clock().now()

    def unit(connection: Connection) -> User:
        return set_disabled(connection, find_named(connection, name).id, disabled=disabled, by=editor(by), now=now)

    server = editing_server(by)
    user = write(unit) if server is None else remote.change_user(server, name, disabled=disabled)
    _print_user(user, f"{user.name} is {'disabled' if disabled else 'enabled'}", as_json=as_json)


def _key_of_links(connection: Connection, settings: Settings, now: datetime) -> str:
    """Return the key that makes links; raises ConflictError if the server has another."""
    secret = settings.secret_key.get_secret_value()
    key = signing_key(connection, now, secret)
    require_served_key(connection, key, has_secret=bool(secret))
    return key


def _password_link(settings: Settings, key: str, user: User, now: datetime) -> str:
    base = settings.public_url or local_url(settings.host, settings.port)
    return f"{base}/console/password/{password_code(key, user, now)}"


def _print_user(user: User, done: str, link: str = "", *, as_json: bool) -> None:
    if as_json:
        say_json({**user.to_json(), **({"password_link": link} if link else {})})
        return
    say(done)
    if link:
        say(link)
        note(f"{user.name} chooses a password with this link; it is valid once, for {PASSWORD_LIFETIME.days} days.")


def _read_password(name: str) -> str:
    given = sys.stdin.readline().rstrip("\r\n")
    if problems := check_password(given, name=name):
        raise InvalidInputError("this password cannot be used", problems)
    return hash_password(given)
