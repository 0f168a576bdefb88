"""`usher users`: users of the console and their API tokens; `user_access.py` has sessions and logins."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from app.accounts.links import PASSWORD_LIFETIME, password_code
from app.accounts.password import NO_PASSWORD, check_password, hash_password
from app.accounts.roles import Role
from app.accounts.signing_key import signing_key
from app.accounts.tokens import LIFETIME, Token, issue_token, list_tokens, revoke_token
from app.accounts.users import User, add_user, delete_user, list_users, set_disabled, set_password, set_role
from app.cli.framework.database import editor, reading, write
from app.cli.framework.moment import parse_duration, show_moment
from app.cli.framework.options import ByOption, JsonOption
from app.cli.framework.terminal import note, plain, say, say_json, show, table
from app.cli.user_access import end_session, find_named, log_out, logins, sessions
from app.clock import SystemClock
from app.errors import InvalidInputError, Problem
from app.settings import Settings, local_url, read_settings

app = typer.Typer(help="Users of the console, their sessions and API tokens.", no_args_is_help=True)
app.command("logins")(logins)
app.command("sessions")(sessions)
app.command("end-session")(end_session)
app.command("logout")(log_out)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="name of the user")]
_Role = Annotated[
    Role, typer.Option("--role", help="viewer: read; editor: also change rules and calls; admin: also manage users")
]
_PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="read the password from standard input")]
_Expires = Annotated[
    str | None, typer.Option("--expires", metavar="DURATION", help="such as 30d, or never (default: 90d)")
]


@app.command("list")
def list_(*, as_json: JsonOption = False) -> None:
    """List users by name."""
    with reading() as connection:
        users, tokens = list_users(connection), list_tokens(connection)
    now = SystemClock().now()
    if as_json:
        say_json([user.to_json() for user in users])
        return
    if not users:
        say("No users yet. Add the first: usher users add NAME --role admin")
        return
    rows = table("name", "role", "state", "tokens", "since", "last login")
    for user in users:
        valid = sum(token.user_id == user.id and token.is_valid(now) for token in tokens)
        state = "disabled" if user.disabled else "active" if user.has_password else "no password yet"
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
def add(
    name: _Name,
    *,
    role: _Role = Role.VIEWER,
    password_stdin: _PasswordStdin = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a user and print a link for choosing a password, unless one is given."""
    settings = read_settings(without_livekit=True)
    now = SystemClock().now()
    hashed = _read_password(name) if password_stdin else NO_PASSWORD

    def unit(connection: Connection) -> tuple[User, str]:
        user = add_user(connection, name, role, by=editor(by), now=now, password_hash=hashed)
        return user, signing_key(connection, now, settings.secret_key.get_secret_value())

    user, key = write(unit, settings)
    _print_user(user, f"{user.name} added as {user.role}", settings, "" if password_stdin else key, as_json=as_json)


@app.command()
def password(
    name: _Name, *, password_stdin: _PasswordStdin = False, by: ByOption = None, as_json: JsonOption = False
) -> None:
    """Print a link for choosing a new password, or set the one given, which ends all sessions of the user."""
    settings = read_settings(without_livekit=True)
    now = SystemClock().now()
    hashed = _read_password(name) if password_stdin else None

    def unit(connection: Connection) -> tuple[User, str]:
        user = find_named(connection, name)
        if hashed is not None:
            user = set_password(connection, user.id, hashed, by=editor(by), now=now)
        return user, signing_key(connection, now, settings.secret_key.get_secret_value())

    user, key = write(unit, settings)
    done = f"{user.name} has the new password" if hashed is not None else f"{user.name} keeps the old one until then"
    _print_user(user, done, settings, "" if hashed is not None else key, as_json=as_json)


@app.command("role")
def role_(
    name: _Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, editor or admin")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the role of a user."""
    now = SystemClock().now()
    user = write(lambda connection: set_role(connection, find_named(connection, name).id, role, by=editor(by), now=now))
    _print_user(user, f"{user.name} is {user.role}", None, "", as_json=as_json)


@app.command()
def disable(name: _Name, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Disable a user, with all sessions and tokens, at once."""
    _set_disabled(name, by, disabled=True, as_json=as_json)


@app.command()
def enable(name: _Name, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Enable a user again."""
    _set_disabled(name, by, disabled=False, as_json=as_json)


@app.command()
def delete(
    name: _Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a user, with all sessions and tokens; histories keep the name."""
    now = SystemClock().now()
    if not yes and not typer.confirm(f"Delete {name} with all sessions and tokens?", err=True):
        raise typer.Exit(1)
    user = write(lambda connection: delete_user(connection, find_named(connection, name).id, by=editor(by), now=now))
    _print_user(user, f"{user.name} is deleted", None, "", as_json=as_json)


def _set_disabled(name: str, by: str | None, *, disabled: bool, as_json: bool) -> None:
    now = SystemClock().now()

    def unit(connection: Connection) -> User:
        return set_disabled(connection, find_named(connection, name).id, disabled=disabled, by=editor(by), now=now)

    user = write(unit)
    _print_user(user, f"{user.name} is {'disabled' if disabled else 'enabled'}", None, "", as_json=as_json)


@app.command()
def token(
    name: _Name,
    *,
    purpose: Annotated[str, typer.Option("--name", help="what the token is for")] = "command line",
    role: Annotated[Role | None, typer.Option("--role", help="at most the user's own role (default)")] = None,
    expires: _Expires = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an API token and print it once; only its hash is stored."""
    now = SystemClock().now()
    lifetime = _lifetime(expires)

    def unit(connection: Connection) -> Any:
        user = find_named(connection, name)
        return issue_token(connection, user.id, purpose, role or user.role, by=editor(by), now=now, lifetime=lifetime)

    made, secret = write(unit)
    if as_json:
        say_json({**made.to_json(), "token": secret})
        return
    say(secret)
    until = f"until {show_moment(made.expires_at)}" if made.expires_at else "until it is revoked (it never expires)"
    note(f"Valid for the API as {made.role} {until}; it is not shown again. To revoke it: usher users revoke {made.id}")


@app.command()
def tokens(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="only of this user")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List API tokens, newest first, without their secrets."""
    with reading() as connection:
        found = list_tokens(connection, None if name is None else find_named(connection, name).id)
    now = SystemClock().now()
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


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="the id of a token, see: usher users tokens")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a token, with immediate effect."""
    now = SystemClock().now()
    revoked = write(lambda connection: revoke_token(connection, token_id, by=editor(by), now=now))
    if as_json:
        say_json(revoked.to_json())
    else:
        say(f"token {revoked.name!r} of {revoked.user_name} is revoked")


def _print_user(user: User, done: str, settings: Settings | None, key: str, *, as_json: bool) -> None:
    link = ""
    if key and settings is not None:
        base = settings.public_url or local_url(settings.host, settings.port)
        link = f"{base}/console/password/{password_code(key, user)}"
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
