"""Rows of `caller_actions`; every function works in the caller's open transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, select

from app.db.any_of import any_of
from app.db.bulk_insert import insert_new, update_many
from app.db.columns.column_types import Timestamp
from app.db.hot_statement import HotStatement
from app.db.tables import ACTION_IS_LIVE, caller_actions
from app.outbox.caller_action import CallerAction

_COLUMNS = tuple(caller_actions.c[name] for name in CallerAction._fields)

# Run twice a second, even when nothing is due.
_DUE = HotStatement(
    select(*_COLUMNS)
    .with_hint(caller_actions, "INDEXED BY ix_caller_actions_due", "sqlite")
    .where(
        ACTION_IS_LIVE,
        caller_actions.c.next_attempt_at <= bindparam("now", type_=Timestamp()),
        any_of(caller_actions.c.project, "projects"),
        ~any_of(caller_actions.c.id, "in_hand"),
    )
    .order_by(caller_actions.c.next_attempt_at)
    .limit(bindparam("first", type_=Integer()))
    .with_for_update(skip_locked=True)
)


def insert_actions(connection: Connection, new: Sequence[CallerAction]) -> set[str]:
    """Insert actions; return the ids of those whose participant has not got the same action already."""
    if not new:
        return set()
    # In the order of their keys, so that two replicas with the same ones cannot wait for each other.
    ordered = sorted(new, key=lambda one: (one.project, one.participant_sid, one.kind))
    rows = [one._asdict() for one in ordered]
    ids = {one.id for one in new}
    if insert_new(connection, caller_actions, rows) == len(new):
        return ids
    return set(connection.scalars(select(caller_actions.c.id).where(caller_actions.c.id.in_(ids))))


def find_due_actions(
    connection: Connection, now: datetime, limit: int, *, projects: Collection[str], in_hand: Collection[str]
) -> list[CallerAction]:
    """Return the actions that are due, oldest first, but those `in_hand`: they are under way in this process.

    Among them are those whose sender's lease ran out: it died, and whether LiveKit got the call is unknown.
    """
    asked: dict[str, Any] = {"now": now, "first": limit, "projects": projects, "in_hand": in_hand}
    found = _DUE.rows(connection, asked)
    return [CallerAction.from_row(dict(zip(CallerAction._fields, row, strict=True))) for row in found]


def read_actions_locked(connection: Connection, ids: Collection[str]) -> dict[str, CallerAction]:
    """Return these actions as they are now, locked until the transaction ends."""
    query = select(caller_actions).where(caller_actions.c.id.in_(ids)).order_by(caller_actions.c.id).with_for_update()
    return {row["id"]: CallerAction.from_row(row) for row in connection.execute(query).mappings()}


def write_actions(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write the columns that each row names over those of the action with its `id`."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row)), []).append(row)
    for alike in groups.values():
        update_many(connection, caller_actions, alike)
