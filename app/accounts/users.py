"""Reads and changes users in the open transaction of the calling code; every change gets a line in the audit log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from app.accounts.password import NO_PASSWORD
from app.accounts.roles import Role, projects_in, stored_projects
from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.tables import sessions, signing_keys, users
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from app.json_shape import Instant, JsonShape
from app.translation import translatable

MAX_NAME_LENGTH: Final = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """What an OpenID Connect provider calls a person: `subject` is unique at `issuer` and never reused."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class User(JsonShape):
    """A person who may log in."""

    id: str
    name: str
    role: Role
    projects: Annotated[tuple[str, ...] | None, Field(description="that the user is restricted to; null: all")]
    password_hash: Annotated[str, Field(exclude=True)]
    disabled: bool
    session_epoch: Annotated[int, Field(exclude=True)]  # part of every session and link: raising it ends them all
    has_password: bool
    identity: Annotated[Identity | None, Field(exclude=True)]
    has_identity: Annotated[bool, Field(description="logs in through the OpenID Connect provider")]
    created_at: Instant
    last_login_at: Instant | None


def count_users(connection: Connection) -> int:
    """Return the number of users, disabled ones included."""
    return connection.scalar(select(func.count()).select_from(users)) or 0


def list_users(connection: Connection) -> list[User]:
    """Return all users, sorted by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name)).mappings()]


def find_user(connection: Connection, name: str) -> User | None:
    """Return the user with a name; None if there is none."""
    row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
    return None if row is None else _user(row)


def read_user(connection: Connection, user_id: str) -> User:
    """Return the user with an id; raises NotFoundError if there is none."""
    row = connection.execute(select(users).where(users.c.id == user_id)).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no user has the id %(user_id)s", user_id=repr(user_id)))
    return _user(row)


def find_user_by_identity(connection: Connection, identity: Identity) -> User | None:
    """Return the user who logs in as `identity`; None if there is none."""
    is_theirs = and_(users.c.identity_issuer == identity.issuer, users.c.identity_subject == identity.subject)
    row = connection.execute(select(users).where(is_theirs)).mappings().first()
    return None if row is None else _user(row)


def add_user(
    connection: Connection,
    name: str,
    role: Role,
    *,
    by: str,
    now: datetime,
    password_hash: str = NO_PASSWORD,
    projects: Collection[str] | None = None,
) -> User:
    """Add a user and return it; a user without a password chooses one through a link of `app.accounts.links`.

    `projects`: the LiveKit projects whose calls and rules the user may see; None: all. Raises InvalidInputError for a
    name that is not allowed, ConflictError for one that is taken.
    """
    if problems := check_name(name):
        raise InvalidInputError(translatable("this user cannot be added"), problems)
    if find_user(connection, name) is not None:
        raise ConflictError(translatable("there is already a user named %(name)s", name=repr(name)))
    _require_unrestricted_admin(role, projects)
    row: dict[str, Any] = {
        "id": new_id(),
        "name": name,
        "role": str(role),
        "projects": stored_projects(projects),
        "password_hash": password_hash,
        "disabled": False,
        "session_epoch": 0,
        "created_at": now,
        "last_login_at": None,
        "identity_issuer": None,
        "identity_subject": None,
    }
    connection.execute(insert(users).values(row))
    append(connection, [AuditEntry("user", row["id"], None, str(role), f"user {name!r} added", now, by)])
    return _user(row)


def check_name(name: str) -> list[Problem]:
    """Return why a name is not allowed; names are shown in histories and typed at the login."""
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        message = translatable("must have 1 to %(most)s characters", most=MAX_NAME_LENGTH)
        return [Problem("name", message, name[:MAX_NAME_LENGTH])]
    if not name.isprintable() or name != " ".join(name.split()):
        suggestion = " ".join("".join(c if c.isprintable() else " " for c in name).split()) or None
        message = translatable("must be printable, without leading, trailing or double spaces")
        return [Problem("name", message, name, suggestion)]
    return []


def lock_users(connection: Connection) -> None:
    """Wait until no other transaction holds this lock, which is for those that add a user unless there is one."""
    connection.execute(select(signing_keys.c.purpose).with_for_update())


def add_first_admin(connection: Connection, name: str, password_hash: str, *, by: str, now: datetime) -> User | None:
    """Add the first user, an admin, and return it; None if there is a user already, also if another replica is faster.

    Raises InvalidInputError for a name that is not allowed.
    """
    lock_users(connection)  # two replicas may do this at the same moment: the second counts the user of the first
    if count_users(connection):
        return None
    return add_user(connection, name, Role.ADMIN, by=by, now=now, password_hash=password_hash)


def set_role(connection: Connection, user_id: str, role: Role, *, by: str, now: datetime) -> User:
    """Change the role of a user, which ends its sessions; raises ConflictError if no admin would be left."""
    user = _read_for_update(connection, user_id)
    if user.role is role:
        return user
    _require_unrestricted_admin(role, user.projects)
    if user.role is Role.ADMIN:
        _require_another_admin(connection, user)
    entry = AuditEntry("user", user.id, str(user.role), str(role), f"role of {user.name!r} changed", now, by)
    changed = _change(connection, user, entry, role=str(role))
    end_sessions(connection, user.id)  # not by the epoch: an unused link to choose a password stays valid
    return changed


def set_projects(
    connection: Connection, user_id: str, projects: Collection[str] | None, *, by: str, now: datetime
) -> User:
    """Restrict a user to some LiveKit projects, with all tokens and at once; None lifts the restriction."""
    user = _read_for_update(connection, user_id)
    wanted = stored_projects(projects)
    _require_unrestricted_admin(user.role, projects)
    if wanted == (None if user.projects is None else list(user.projects)):
        return user
    after = "all projects" if wanted is None else f"projects {', '.join(wanted)}"
    entry = AuditEntry("user", user.id, None, "restricted", f"{user.name!r} may see {after}", now, by)
    return _change(connection, user, entry, projects=wanted)


def set_disabled(connection: Connection, user_id: str, *, disabled: bool, by: str, now: datetime) -> User:
    """Disable a user, with effect on all sessions and tokens at once, or enable it again."""
    user = _read_for_update(connection, user_id)
    if user.disabled is disabled:
        return user
    if disabled and user.role is Role.ADMIN:
        _require_another_admin(connection, user)
    before, after = ("enabled", "disabled") if disabled else ("disabled", "enabled")
    entry = AuditEntry("user", user.id, before, after, f"user {user.name!r} {after}", now, by)
    # A user that is enabled again has to log in again.
    return _end_everything(connection, user, entry, disabled=disabled)


def set_password(connection: Connection, user_id: str, password_hash: str, *, by: str, now: datetime) -> User:
    """Replace the password of a user; all its sessions and unused links become invalid."""
    user = _read_for_update(connection, user_id)
    entry = AuditEntry("user", user.id, None, "password set", f"password of {user.name!r} set", now, by)
    return _end_everything(connection, user, entry, password_hash=password_hash)


def set_identity(connection: Connection, user_id: str, identity: Identity | None, *, by: str, now: datetime) -> User:
    """Let a user log in as `identity`, or no longer through a provider (None), which ends all sessions.

    Raises ConflictError if another user has the identity.
    """
    user = _read_for_update(connection, user_id)
    if user.identity == identity:
        return user
    if identity is None:
        note = f"{user.name!r} disconnected from the provider"
        entry = AuditEntry("user", user.id, None, "disconnected", note, now, by)
        return _end_everything(connection, user, entry, identity_issuer=None, identity_subject=None)
    lock_users(connection)
    other = find_user_by_identity(connection, identity)
    if other is not None:
        raise ConflictError(translatable("this person logs in as %(name)s already", name=repr(other.name)))
    note = f"{user.name!r} logs in as {identity.subject} of {identity.issuer}"
    entry = AuditEntry("user", user.id, None, "connected", note, now, by)
    return _change(connection, user, entry, identity_issuer=identity.issuer, identity_subject=identity.subject)


def log_out_everywhere(connection: Connection, user_id: str, *, by: str, now: datetime, keep_session: str = "") -> User:
    """End all sessions of a user, in every browser, but `keep_session`; unused links become invalid, too."""
    user = _read_for_update(connection, user_id)
    entry = AuditEntry("user", user.id, None, "logged out", f"all sessions of {user.name!r} ended", now, by)
    kept = update(sessions).where(sessions.c.user_id == user.id, sessions.c.id == keep_session)
    connection.execute(kept.values(session_epoch=user.session_epoch + 1))
    changed = _change(connection, user, entry, session_epoch=user.session_epoch + 1)
    end_sessions(connection, user.id, keep_session)
    return changed


def delete_user(connection: Connection, user_id: str, *, by: str, now: datetime) -> User:
    """Delete a user with its sessions and tokens and return it; raises ConflictError if no admin would be left.

    Histories and the audit log keep the name.
    """
    user = _read_for_update(connection, user_id)
    if user.role is Role.ADMIN and not user.disabled:
        _require_another_admin(connection, user)
    connection.execute(delete(users).where(users.c.id == user.id))
    append(connection, [AuditEntry("user", user.id, str(user.role), "deleted", f"user {user.name!r} deleted", now, by)])
    return user


def record_login(connection: Connection, user_id: str, now: datetime) -> None:
    """Record when a user last logged in."""
    connection.execute(update(users).where(users.c.id == user_id).values(last_login_at=now))


def end_sessions(connection: Connection, user_id: str, keep_session: str = "") -> None:
    """End the sessions of a user, but `keep_session`; unused links stay valid."""
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != keep_session))


def _end_everything(connection: Connection, user: User, entry: AuditEntry, **values: Any) -> User:
    end_sessions(connection, user.id)
    return _change(connection, user, entry, session_epoch=user.session_epoch + 1, **values)


def _change(connection: Connection, user: User, entry: AuditEntry, **values: Any) -> User:
    connection.execute(update(users).where(users.c.id == user.id).values(**values))
    append(connection, [entry])
    return read_user(connection, user.id)


def _read_for_update(connection: Connection, user_id: str) -> User:
    row = connection.execute(select(users).where(users.c.id == user_id).with_for_update()).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no user has the id %(user_id)s", user_id=repr(user_id)))
    return _user(row)


def _require_another_admin(connection: Connection, user: User) -> None:
    # All admins are locked: two of them that demote each other at the same moment must not both succeed.
    query = select(users.c.id).where(users.c.role == str(Role.ADMIN), users.c.disabled.is_(False)).order_by(users.c.id)
    others = set(connection.execute(query.with_for_update()).scalars()) - {user.id}
    if not others:
        raise ConflictError(
            translatable("%(name)s is the only admin; make another user an admin first", name=repr(user.name))
        )


def _require_unrestricted_admin(role: Role, projects: Collection[str] | None) -> None:
    if role is Role.ADMIN and projects is not None:
        message = translatable("an admin manages all users, and cannot be restricted to projects")
        raise InvalidInputError(translatable("this user cannot be restricted"), [Problem("projects", message)])


def _user(row: Mapping[Any, Any]) -> User:
    issuer, subject = row["identity_issuer"], row["identity_subject"]
    return User(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        projects=projects_in(row["projects"]),
        password_hash=row["password_hash"],
        disabled=bool(row["disabled"]),
        session_epoch=row["session_epoch"],
        has_password=row["password_hash"] != NO_PASSWORD,
        identity=None if subject is None else Identity(issuer, subject),
        has_identity=subject is not None,
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
    )
