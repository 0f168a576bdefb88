"""`usher users`: who may use the console and the JSON API."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from app.accounts.links import PASSWORD_LIFETIME, password_code
from app.accounts.password import NO_PASSWORD, check_password, hash_password
from app.accounts.roles import Role
from app.accounts.signing_key import signing_key
from app.accounts.tokens import issue_token, list_tokens, revoke_token
from app.accounts.users import User, add_user, find_user, list_users, set_disabled, set_password, set_role
from app.cli.database import editor, reading, write
from app.cli.moment import parse_duration, show_moment
from app.cli.options import ByOption, JsonOption
from app.cli.terminal import note, plain, say, say_json, show, table
from app.clock import SystemClock
from app.errors import InvalidInputError, NotFoundError, Problem
from app.settings import Settings, local_url, read_settings

app = typer.Typer(help="Who may use the console and the JSON API.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="of the user")]
_Role = Annotated[
    Role, typer.Option("--role", help="viewer looks, editor changes rules and calls, admin manages people")
]
_PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="read the password from standard input")]
_Expires = Annotated[str | None, typer.Option("--expires", metavar="DURATION", help="such as 90d [default: never]")]


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
    rows = table("name", "role", "state", "tokens", "since")
    for user in users:
        valid = sum(token.user_id == user.id and token.is_valid(now) for token in tokens)
        state = "disabled" if user.disabled else "active" if user.has_password else "no password yet"
        style = "red" if user.disabled else ""
        rows.add_row(plain(user.name), str(user.role), plain(state, style), str(valid), show_moment(user.created_at))
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
    """Add somebody. They choose their password with the link that this prints, unless it is given."""
    settings = read_settings(without_livekit=True)
    now = SystemClock().now()
    hashed = _read_password(name) if password_stdin else NO_PASSWORD

    def unit(connection: Connection) -> tuple[User, str]:
        user = add_user(connection, name, role, by=editor(by), now=now, password_hash=hashed)
        return user, signing_key(connection, now)

    user, key = write(unit, settings)
    _tell(user, f"{user.name} added as {user.role}", settings, "" if password_stdin else key, as_json=as_json)


@app.command()
def password(
    name: _Name, *, password_stdin: _PasswordStdin = False, by: ByOption = None, as_json: JsonOption = False
) -> None:
    """Print a link with which somebody chooses a new password, or set the one given; the latter ends their sessions."""
    settings = read_settings(without_livekit=True)
    now = SystemClock().now()
    hashed = _read_password(name) if password_stdin else None

    def unit(connection: Connection) -> tuple[User, str]:
        user = _find(connection, name)
        if hashed is not None:
            user = set_password(connection, user.id, hashed, by=editor(by), now=now)
        return user, signing_key(connection, now)

    user, key = write(unit, settings)
    done = f"{user.name} has the new password" if hashed is not None else f"{user.name} keeps the old one until then"
    _tell(user, done, settings, "" if hashed is not None else key, as_json=as_json)


@app.command("role")
def role_(
    name: _Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, editor or admin")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give somebody another role."""
    now = SystemClock().now()
    user = write(lambda connection: set_role(connection, _find(connection, name).id, role, by=editor(by), now=now))
    _tell(user, f"{user.name} is {user.role}", None, "", as_json=as_json)


@app.command()
def disable(name: _Name, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Shut somebody out at once, with all their sessions and tokens."""
    _set_disabled(name, by, disabled=True, as_json=as_json)


@app.command()
def enable(name: _Name, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Let somebody in again who was disabled."""
    _set_disabled(name, by, disabled=False, as_json=as_json)


def _set_disabled(name: str, by: str | None, *, disabled: bool, as_json: bool) -> None:
    now = SystemClock().now()

    def unit(connection: Connection) -> User:
        return set_disabled(connection, _find(connection, name).id, disabled=disabled, by=editor(by), now=now)

    user = write(unit)
    _tell(user, f"{user.name} is {'disabled' if disabled else 'enabled'}", None, "", as_json=as_json)


@app.command()
def token(
    name: _Name,
    *,
    purpose: Annotated[str, typer.Option("--name", help="what the token is for")] = "command line",
    role: Annotated[Role | None, typer.Option("--role", help="at most the user's own [default: that]")] = None,
    expires: _Expires = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API token for somebody and print it, once: only its hash is kept."""
    now = SystemClock().now()
    expires_at = _expiry(expires, now)

    def unit(connection: Connection) -> Any:
        user = _find(connection, name)
        return issue_token(
            connection, user.id, purpose, role or user.role, by=editor(by), now=now, expires_at=expires_at
        )

    made, secret = write(unit)
    if as_json:
        say_json({**made.to_json(), "token": secret})
        return
    say(secret)
    until = f"until {show_moment(made.expires_at)}" if made.expires_at else "until it is revoked"
    note(f"It opens the API as {made.role}, {until}, and is not shown again. To revoke: usher users revoke {made.id}")


@app.command()
def tokens(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="only of this user")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List API tokens, the latest first; not their secrets, which nobody has kept."""
    with reading() as connection:
        found = list_tokens(connection, None if name is None else _find(connection, name).id)
    now = SystemClock().now()
    if as_json:
        say_json([one.to_json() for one in found])
        return
    if not found:
        say("No tokens.")
        return
    rows = table("id", "user / for", "role", "state", narrow=("id",))
    for one in found:
        who = plain(one.user_name).append("\n").append_text(plain(one.name, "dim"))
        state = "revoked" if one.revoked_at else "expired" if not one.is_valid(now) else "valid"
        used = f"used {show_moment(one.last_used_at)}" if one.last_used_at else "never used"
        rows.add_row(one.id, who, str(one.role), plain(state).append("\n").append(used, "dim"))
    show(rows)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="the id of a token, see: usher users tokens")],
    *,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token useless at once."""
    now = SystemClock().now()
    revoked = write(lambda connection: revoke_token(connection, token_id, by=editor(by), now=now))
    if as_json:
        say_json(revoked.to_json())
    else:
        say(f"token {revoked.name!r} of {revoked.user_name} is revoked")


def _tell(user: User, done: str, settings: Settings | None, key: str, *, as_json: bool) -> None:
    link = ""
    if key and settings is not None:
        link = f"{local_url(settings.host, settings.port)}/console/password/{password_code(key, user)}"
    if as_json:
        say_json({**user.to_json(), **({"password_link": link} if link else {})})
        return
    say(done)
    if link:
        say(link)
        note(f"With this link {user.name} chooses a password; it is good for {PASSWORD_LIFETIME.days} days, and once.")


def _find(connection: Connection, name: str) -> User:
    user = find_user(connection, name)
    if user is None:
        raise NotFoundError(f"no user is named {name!r}; see: usher users list")
    return user


def _read_password(name: str) -> str:
    given = sys.stdin.readline().rstrip("\r\n")
    if problems := check_password(given, name=name):
        raise InvalidInputError("this password cannot be used", problems)
    return hash_password(given)


def _expiry(expires: str | None, now: datetime) -> datetime | None:
    if expires is None:
        return None
    lasts = parse_duration(expires)
    if lasts is None:
        raise InvalidInputError("usage", [Problem("--expires", "must be a duration such as 12h, 90d or 52w", expires)])
    return now + lasts
