"""Rows of `users`, in the caller's open transaction; every change is named in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, func, insert, select, update

from app.accounts.password import NO_PASSWORD
from app.accounts.roles import Role
from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.tables import users
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from app.json_shape import Instant, JsonShape

LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class User(JsonShape):
    """A person who may log in."""

    id: str
    name: str
    role: Role
    password_hash: Annotated[str, Field(exclude=True)]
    disabled: bool
    session_epoch: Annotated[int, Field(exclude=True)]  # part of every session: raising it ends them all
    has_password: bool
    created_at: Instant


def count_users(connection: Connection) -> int:
    """Return how many users there are, disabled ones too."""
    return connection.scalar(select(func.count()).select_from(users)) or 0


def list_users(connection: Connection) -> list[User]:
    """Return all users by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name)).mappings()]


def find_user(connection: Connection, name: str) -> User | None:
    """Return the user of that name."""
    row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
    return None if row is None else _user(row)


def read_user(connection: Connection, user_id: str) -> User:
    """Return the user of that id; NotFoundError when there is none."""
    row = connection.execute(select(users).where(users.c.id == user_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"no user has the id {user_id!r}")
    return _user(row)


def add_user(
    connection: Connection, name: str, role: Role, *, by: str, now: datetime, password_hash: str = NO_PASSWORD
) -> User:
    """Add somebody; without a password they choose one with a link of `app.accounts.links`.

    InvalidInputError for a name that cannot be used, ConflictError for one that is taken.
    """
    if problems := check_name(name):
        raise InvalidInputError("this user cannot be added", problems)
    if find_user(connection, name) is not None:
        raise ConflictError(f"there is a user named {name!r} already")
    row: dict[str, Any] = {
        "id": new_id(),
        "name": name,
        "role": str(role),
        "password_hash": password_hash,
        "disabled": False,
        "session_epoch": 0,
        "created_at": now,
    }
    connection.execute(insert(users).values(row))
    append(connection, [AuditEntry("user", row["id"], None, str(role), f"user {name!r} added", now, by)])
    return _user(row)


def check_name(name: str) -> list[Problem]:
    """Return why nobody may be named so: names stand in histories and are typed at the login."""
    if not 1 <= len(name) <= LONGEST_NAME:
        return [Problem("name", f"must have 1 to {LONGEST_NAME} characters", name[:LONGEST_NAME])]
    if not name.isprintable() or name != " ".join(name.split()):
        mended = " ".join("".join(c if c.isprintable() else " " for c in name).split()) or None
        return [Problem("name", "must be printable, without space around or doubled inside it", name, mended)]
    return []


def set_role(connection: Connection, user_id: str, role: Role, *, by: str, now: datetime) -> User:
    """Give somebody another role; ConflictError when nobody would be left to manage people."""
    user = _locked(connection, user_id)
    if user.role is role:
        return user
    if user.role is Role.ADMIN:
        _keep_an_admin(connection, user)
    entry = AuditEntry("user", user.id, str(user.role), str(role), f"role of {user.name!r} changed", now, by)
    return _change(connection, user, entry, role=str(role))


def set_disabled(connection: Connection, user_id: str, *, disabled: bool, by: str, now: datetime) -> User:
    """Shut somebody out, at once and with all their tokens, or let them in again."""
    user = _locked(connection, user_id)
    if user.disabled is disabled:
        return user
    if disabled and user.role is Role.ADMIN:
        _keep_an_admin(connection, user)
    before, after = ("enabled", "disabled") if disabled else ("disabled", "enabled")
    entry = AuditEntry("user", user.id, before, after, f"user {user.name!r} {after}", now, by)
    # Whoever comes back logs in anew.
    return _change(connection, user, entry, disabled=disabled, session_epoch=user.session_epoch + 1)


def set_password(connection: Connection, user_id: str, password_hash: str, *, by: str, now: datetime) -> User:
    """Replace the password; all sessions and unused links end."""
    user = _locked(connection, user_id)
    entry = AuditEntry("user", user.id, None, "password set", f"password of {user.name!r} set", now, by)
    return _change(connection, user, entry, password_hash=password_hash, session_epoch=user.session_epoch + 1)


def log_out_everywhere(connection: Connection, user_id: str, *, by: str, now: datetime) -> User:
    """End all sessions of somebody, in every browser."""
    user = _locked(connection, user_id)
    entry = AuditEntry("user", user.id, None, "logged out", f"all sessions of {user.name!r} ended", now, by)
    return _change(connection, user, entry, session_epoch=user.session_epoch + 1)


def _change(connection: Connection, user: User, entry: AuditEntry, **values: Any) -> User:
    connection.execute(update(users).where(users.c.id == user.id).values(**values))
    append(connection, [entry])
    return read_user(connection, user.id)


def _locked(connection: Connection, user_id: str) -> User:
    row = connection.execute(select(users).where(users.c.id == user_id).with_for_update()).mappings().first()
    if row is None:
        raise NotFoundError(f"no user has the id {user_id!r}")
    return _user(row)


def _keep_an_admin(connection: Connection, leaving: User) -> None:
    # All of them are locked: two admins who demote each other at the same moment must not both succeed.
    query = select(users.c.id).where(users.c.role == str(Role.ADMIN), users.c.disabled.is_(False)).order_by(users.c.id)
    left = set(connection.execute(query.with_for_update()).scalars()) - {leaving.id}
    if not left:
        raise ConflictError(f"{leaving.name!r} is the only admin; make somebody else an admin first")


def _user(row: Mapping[Any, Any]) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        password_hash=row["password_hash"],
        disabled=bool(row["disabled"]),
        session_epoch=row["session_epoch"],
        has_password=row["password_hash"] != NO_PASSWORD,
        created_at=row["created_at"],
    )
