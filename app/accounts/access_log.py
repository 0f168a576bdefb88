"""The log of logins, failed logins and refused requests, kept for a while and read by admins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from app.clock import new_id
from app.db.record_ids import lowest_id_at
from app.db.tables import access_log
from app.db.types import AccessKind
from app.json_shape import Instant, JsonShape

MAX_ROWS: Final = 200_000
"""Kept at most, some 50 MB: requests that are refused must not fill the disk."""
_PRUNED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One access to be recorded. `user_name` is empty if no user of that name exists: people type passwords there."""

    kind: AccessKind
    user_name: str = ""
    address: str = ""
    user_agent: str = ""
    detail: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Access(JsonShape):
    """A login, a failed login or a refused request; `count` says how many equal ones there were within a minute."""

    id: str
    happened_at: Instant
    kind: AccessKind
    user_name: str
    address: str
    user_agent: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """Which accesses to list; None is any."""

    user_name: str | None = None
    kinds: tuple[AccessKind, ...] = ()
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessPage:
    """Accesses, newest first; `next_cursor` is None on the last page."""

    items: list[Access]
    next_cursor: str | None


def append_access(connection: Connection, entries: Sequence[AccessEntry], now: datetime) -> None:
    """Add `entries`."""
    rows = [
        {
            "id": new_id(),
            "happened_at": now,
            "kind": str(entry.kind),
            "user_name": entry.user_name,
            "address": entry.address,
            "user_agent": entry.user_agent,
            "detail": entry.detail,
            "count": entry.count,
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(access_log), rows)


def list_accesses(connection: Connection, wanted: AccessFilter, *, limit: int, cursor: str | None = None) -> AccessPage:
    """Return one page; `cursor` is the `next_cursor` of the page before."""
    query = select(access_log).order_by(access_log.c.id.desc()).limit(limit + 1)
    if wanted.user_name is not None:
        query = query.where(access_log.c.user_name == wanted.user_name)
    if wanted.kinds:
        query = query.where(access_log.c.kind.in_([str(kind) for kind in wanted.kinds]))
    if wanted.address is not None:
        query = query.where(access_log.c.address == wanted.address)
    if wanted.since is not None:
        query = query.where(access_log.c.happened_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(access_log.c.happened_at < wanted.until)
    if cursor is not None:
        query = query.where(access_log.c.id < cursor)
    found = [_access(row) for row in connection.execute(query).mappings()]
    items = found[:limit]
    return AccessPage(items, items[-1].id if len(found) > limit else None)


def prune_accesses(connection: Connection, before: datetime | None, max_rows: int = MAX_ROWS) -> int:
    """Delete up to a thousand rows that are older than `before` or exceed `max_rows`; return how many."""
    oldest_kept = connection.scalar(
        select(access_log.c.id).order_by(access_log.c.id.desc()).offset(max_rows - 1).limit(1)
    )
    bound = max(lowest_id_at(before) if before is not None else "", oldest_kept or "")
    if not bound:
        return 0
    old = select(access_log.c.id).where(access_log.c.id < bound).order_by(access_log.c.id).limit(_PRUNED_AT_ONCE)
    ids = list(connection.execute(old).scalars())
    connection.execute(delete(access_log).where(access_log.c.id.in_(ids)))
    return len(ids)


def _access(row: Mapping[Any, Any]) -> Access:
    return Access(
        id=row["id"],
        happened_at=row["happened_at"],
        kind=AccessKind(row["kind"]),
        user_name=row["user_name"],
        address=row["address"],
        user_agent=row["user_agent"],
        detail=row["detail"],
        count=row["count"],
    )
