"""Saved views: filters of the list of calls under a name, private to their owner or shared with everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from unicodedata import normalize
from urllib.parse import parse_qsl

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, false, func, insert, or_, select, update

from app.accounts.roles import Projects, Role
from app.audit import CallQuery, read_saved_query
from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.tables import saved_views, users
from app.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError, Problem
from app.json_shape import Instant, JsonShape
from app.translation import translatable

MAX_VIEWS: Final = 50
"""Views of one user: they are shown in one row above the list."""
MAX_NAME_LENGTH: Final = 60
MAX_QUERY_LENGTH: Final = 2000


@dataclass(frozen=True, slots=True)
class ViewUser:
    """The user who reads or changes views, with the role and the projects of the session or token."""

    id: str
    name: str
    role: Role
    projects: Projects


@dataclass(frozen=True, slots=True)
class SavedView(JsonShape):
    """Filters of the list of calls under a name."""

    id: str
    name: str
    query: Annotated[str, Field(description="the filters, as the address of the list of calls in the console has them")]
    project: Annotated[str, Field(description="that the filters name; empty: none")]
    shared: Annotated[bool, Field(description="whether every user sees it")]
    owner: Annotated[str, Field(description="name of the user who saved it")]
    created_at: Instant
    updated_at: Instant
    owner_id: Annotated[str, Field(exclude=True)] = ""

    def may_change(self, user: ViewUser) -> bool:
        """Return whether a user may rename, share or delete it: its owner may, and of shared views an admin."""
        return self.owner_id == user.id or (self.shared and user.role is Role.ADMIN)


def list_views(connection: Connection, user: ViewUser) -> list[SavedView]:
    """Return the views that a user sees: its own, then those that others share, each sorted by name."""
    found = [_view(row) for row in connection.execute(_QUERY.where(_is_visible(user))).mappings()]
    return sorted(found, key=lambda view: (view.owner_id != user.id, view.name.casefold(), view.id))


def list_shared_views(connection: Connection, owner: str | None = None) -> list[SavedView]:
    """Return the views that anybody shares and, if named, all of a user; sorted by name."""
    is_listed = saved_views.c.shared if owner is None else or_(saved_views.c.shared, users.c.name == owner)
    found = [_view(row) for row in connection.execute(_QUERY.where(is_listed)).mappings()]
    return sorted(found, key=lambda view: (view.owner != owner, view.name.casefold(), view.id))


def read_view(connection: Connection, view_id: str, user: ViewUser) -> SavedView:
    """Return a view that a user sees; raises NotFoundError for any other."""
    query = _QUERY.where(saved_views.c.id == view_id, _is_visible(user))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no saved view has the id %(view_id)s", view_id=repr(view_id)))
    return _view(row)


def plain_name(name: str) -> str:
    """Return a name in the one form in which it is stored: keyboards and files give `é` as one character or two."""
    return normalize("NFC", name)


def save_view(
    connection: Connection,
    user: ViewUser,
    name: str,
    query: str,
    *,
    now: datetime,
    shared: bool | None = False,
    replace: bool = False,
) -> SavedView:
    """Save filters under a name and return the view; `replace`: in place of the user's view of that name, if any.

    `shared` None: a view that is replaced is shared as before, a new one is private.

    Raises InvalidInputError for a name or filters that cannot be saved and for one view too many, ConflictError for a
    name that the user has given already, NotAllowedError if the user may not share.
    """
    read, name = read_saved_query(query, now), plain_name(name)
    _require_valid(name, query, _problems_of(read))
    project = read.chosen.project or ""
    _lock_views(connection, user.id)
    existing = _find(connection, user.id, project, name)
    shared = bool(existing and existing.shared) if shared is None else shared
    _require_may_share(user, project, shared)
    if existing is not None:
        if not replace:
            raise ConflictError(translatable("you already have a view named %(name)s", name=repr(name)))
        return _change(connection, user, existing, now, query=read.saved, shared=shared)
    count = select(func.count()).select_from(saved_views).where(saved_views.c.user_id == user.id)
    if (connection.scalar(count) or 0) >= MAX_VIEWS:
        message = translatable(
            "you have %(most)s views, the most that one user may have; delete one that you do not need", most=MAX_VIEWS
        )
        raise InvalidInputError(_CANNOT, [Problem("name", message)])
    row: dict[str, Any] = {
        "id": new_id(),
        "user_id": user.id,
        "project": project,
        "name": name,
        "query": read.saved,
        "shared": shared,
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(insert(saved_views).values(row))
    view = _view({**row, "owner": user.name})
    if shared:
        _record(connection, user, view, (None, "shared"), now)
    return view


def change_view(
    connection: Connection,
    view_id: str,
    user: ViewUser,
    *,
    now: datetime,
    name: str | None = None,
    query: str | None = None,
    shared: bool | None = None,
) -> SavedView:
    """Rename a view, replace its filters, share it or no longer, and return it; None leaves a part as it is.

    Raises as `save_view` does, and NotAllowedError for a view that others share.
    """
    view = _read_for_update(connection, view_id, user)
    values: dict[str, Any] = {}
    if query is not None:
        read = read_saved_query(query, now)
        _require_valid(view.name, query, _problems_of(read))
        values |= {"query": read.saved, "project": read.chosen.project or ""}
    if name is not None and (name := plain_name(name)) != view.name:
        _require_valid(name, "", [])
        values["name"] = name
    project, shared = values.get("project", view.project), view.shared if shared is None else shared
    _require_may_share(user, project, shared and (not view.shared or view.owner_id == user.id))
    other = _find(connection, view.owner_id, project, values.get("name", view.name))
    if other is not None and other.id != view.id:
        raise ConflictError(translatable("there is already a view named %(name)s", name=repr(other.name)))
    return _change(connection, user, view, now, shared=shared, **values)


def delete_view(connection: Connection, view_id: str, user: ViewUser, *, now: datetime) -> SavedView:
    """Delete a view and return it; raises NotFoundError or NotAllowedError."""
    view = _read_for_update(connection, view_id, user)
    connection.execute(delete(saved_views).where(saved_views.c.id == view.id))
    if view.shared:
        _record(connection, user, view, ("shared", "deleted"), now)
    return view


def delete_views_that_name(connection: Connection, is_named: Callable[[str], bool]) -> None:
    """Delete the views of all users that have a name, or search for a text, in which `is_named` finds a person."""
    found = []
    for row in connection.execute(select(saved_views.c.id, saved_views.c.name, saved_views.c.query)):
        values = [value for field, value in parse_qsl(row.query) if field in _SEARCHED]
        if any(map(is_named, (row.name, *values))):
            found.append(row.id)
    connection.execute(delete(saved_views).where(saved_views.c.id.in_(found)))


_SEARCHED: Final = frozenset({"q", "search", "metadata"})
_CANNOT: Final = translatable("this view cannot be saved")
_QUERY: Final[Select[Any]] = select(saved_views, users.c.name.label("owner")).join(
    users, users.c.id == saved_views.c.user_id
)


def _is_visible(user: ViewUser) -> Any:
    """Return the condition of views that a user sees; shared ones of other projects can name callers of these."""
    is_shared: ColumnElement[bool]
    if user.projects is None:
        is_shared = saved_views.c.shared
    elif user.projects:
        is_shared = and_(saved_views.c.shared, saved_views.c.project.in_(sorted(user.projects)))
    else:
        is_shared = false()
    return or_(saved_views.c.user_id == user.id, is_shared)


def _problems_of(read: CallQuery) -> list[Problem]:
    if read.problems or read.saved:
        return list(read.problems)
    return [Problem("query", translatable("must have at least one filter"))]


def _require_valid(name: str, query: str, problems: list[Problem]) -> None:
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        problems.append(
            Problem(
                "name", translatable("must have 1 to %(most)s characters", most=MAX_NAME_LENGTH), name[:MAX_NAME_LENGTH]
            )
        )
    elif not name.isprintable() or name != " ".join(name.split()):
        problems.append(
            Problem("name", translatable("must be printable, without leading, trailing or double spaces"), name)
        )
    if len(query) > MAX_QUERY_LENGTH:
        problems.append(Problem("query", translatable("must have at most %(most)s characters", most=MAX_QUERY_LENGTH)))
    if problems:
        raise InvalidInputError(_CANNOT, problems)


def _require_may_share(user: ViewUser, project: str, shared: bool) -> None:
    if not shared:
        return
    if not user.role.includes(Role.EDITOR):
        raise NotAllowedError(
            translatable("sharing a view needs the role editor; yours is %(role)s", role=user.role.label)
        )
    if user.projects is not None and project not in user.projects:
        raise NotAllowedError(
            translatable(
                "a view that you share must name a project; yours: %(names)s", names=", ".join(sorted(user.projects))
            )
        )


def _lock_views(connection: Connection, user_id: str) -> None:
    """Wait until no other transaction changes views of this user: names and their number are compared first."""
    if connection.scalar(select(users.c.id).where(users.c.id == user_id).with_for_update()) is None:
        raise NotFoundError(translatable("no user has the id %(user_id)s", user_id=repr(user_id)))


def _read_for_update(connection: Connection, view_id: str, user: ViewUser) -> SavedView:
    _lock_views(connection, read_view(connection, view_id, user).owner_id)
    view = read_view(connection, view_id, user)
    if not view.may_change(user):
        raise NotAllowedError(
            translatable(
                "the view %(name)s is of %(owner)s; its owner or an admin may change it",
                name=repr(view.name),
                owner=view.owner,
            )
        )
    return view


def _find(connection: Connection, user_id: str, project: str, name: str) -> SavedView | None:
    is_it = and_(saved_views.c.user_id == user_id, saved_views.c.project == project, saved_views.c.name == name)
    row = connection.execute(_QUERY.where(is_it)).mappings().first()
    return None if row is None else _view(row)


def _change(connection: Connection, user: ViewUser, view: SavedView, now: datetime, **values: Any) -> SavedView:
    statement = update(saved_views).where(saved_views.c.id == view.id).values(**values, updated_at=now)
    connection.execute(statement)
    row = connection.execute(_QUERY.where(saved_views.c.id == view.id)).mappings().one()
    changed = _view(row)
    if view.shared or changed.shared:
        before, after = ("shared" if one.shared else "private" for one in (view, changed))
        _record(connection, user, changed, (before, after), now)
    return changed


def _record(
    connection: Connection, user: ViewUser, view: SavedView, states: tuple[str | None, str], now: datetime
) -> None:
    """Add a line to the audit log, for views that others see; a view's name may be that of a caller, so not here."""
    reason = f"saved view of {view.owner!r}"
    append(connection, [AuditEntry("saved_view", view.id, *states, reason, now, user.name)])


def _view(row: Mapping[Any, Any]) -> SavedView:
    return SavedView(
        id=row["id"],
        name=row["name"],
        query=row["query"],
        project=row["project"],
        shared=bool(row["shared"]),
        owner=row["owner"],
        owner_id=row["user_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
