"""Reads the rules as they are stored now, each with the version it is at.

The highest id of `rule_changes` is the version of the rule book; a rule's own version is the id of its latest change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, select, text, tuple_

from app.db.rule_columns import RECORDED_COLUMNS
from app.db.tables import routing_rules, rule_changes
from app.db.types import format_instant
from app.errors import NotFoundError
from app.rules.columns import DOCUMENTS, FLAGS, WRITABLE, with_instants
from app.strict_json import JsonError, is_storable, parse_stored_json
from app.translation import translatable

_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it stands; `version` is the id of its latest recorded change, which `If-Match` names."""

    id: int
    version: int
    row: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    updated_by: str | None

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def to_json(self) -> dict[str, Any]:
        """Return the rule with every column and its version."""
        return {
            "id": self.id,
            **{column: self.row.get(column) for column in WRITABLE},
            "version": self.version,
            "created_at": format_instant(self.created_at),
            "updated_at": format_instant(self.updated_at),
            "updated_by": self.updated_by,
        }


def read_stored_rule(connection: Connection, rule_id: int) -> StoredRule:
    """Return the rule of that id; NotFoundError when there is none."""
    stored = _with_documents(connection, [rule_id] if abs(rule_id) <= _LARGEST_ID else [])
    if not stored:
        raise NotFoundError(translatable("no rule has the id %(rule_id)s", rule_id=str(rule_id)))
    return stored[0]


def list_stored_rules(
    connection: Connection, *, limit: int, after: tuple[int, int] | None = None, name: str | None = None
) -> list[StoredRule]:
    """Return rules in matching order, those after `after` (priority, id)."""
    table = routing_rules.c
    query = select(table.id).order_by(table.priority, table.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(table.priority, table.id) > after)
    if name is not None:
        query = query.where(table.name == name)
    return _with_documents(connection, list(connection.scalars(query)))


def _with_documents(connection: Connection, ids: Sequence[int]) -> list[StoredRule]:
    # What the triggers recorded is JSON whatever plain SQL has put into the columns, and it names the version.
    if not ids:
        return []
    latest = select(func.max(rule_changes.c.id)).where(rule_changes.c.rule_id.in_(ids)).group_by(rule_changes.c.rule_id)
    documents = {
        row.rule_id: (row.id, with_instants(row.after))
        for row in connection.execute(
            select(rule_changes.c.id, rule_changes.c.rule_id, rule_changes.c.after).where(rule_changes.c.id.in_(latest))
        )
        if row.after is not None
    }
    table = routing_rules.c
    stamps = {
        row.id: row
        for row in connection.execute(
            select(table.id, table.created_at, table.updated_at, table.updated_by).where(table.id.in_(ids))
        )
    }
    return [
        StoredRule(one, *documents[one], stamps[one].created_at, stamps[one].updated_at, stamps[one].updated_by)
        for one in ids
        if one in documents and one in stamps
    ]


def rule_named(connection: Connection, name: Any) -> int | None:
    """Return the id of the rule of that name; None when there is none, or `name` cannot be one."""
    if not isinstance(name, str) or not is_storable(name):
        return None
    return connection.scalar(select(routing_rules.c.id).where(routing_rules.c.name == name))


def read_rules(connection: Connection) -> list[dict[str, Any]]:
    """Return all rules as rows with RECORDED_COLUMNS, in matching order.

    What plain SQL may have put in is returned as it stands (SQLite holds any text in any column), so that a bad row can
    be shown, exported and put right.
    """
    if connection.dialect.name == "sqlite":
        columns = ", ".join(f'"{column}"' for column in RECORDED_COLUMNS)
        # The column types would refuse what is not JSON or not a boolean.
        statement = text(f"SELECT {columns} FROM routing_rules ORDER BY priority, id")  # noqa: S608 - names from code
        return [_from_sqlite(row) for row in connection.execute(statement).mappings()]
    table = routing_rules.c
    rows = connection.execute(
        select(*(table[column] for column in RECORDED_COLUMNS)).order_by(table.priority, table.id)
    )
    return [{str(column): value for column, value in row.items()} for row in rows.mappings()]


def _from_sqlite(row: RowMapping) -> dict[str, Any]:
    read = {str(column): value for column, value in row.items()}
    for column in DOCUMENTS:
        if isinstance(read[column], str):
            try:
                read[column] = parse_stored_json(read[column])
            except JsonError:
                continue
    for column in FLAGS:
        if read[column] in {0, 1}:
            read[column] = bool(read[column])
    return with_instants(read)


def rules_version(connection: Connection) -> int:
    """Return the version of the rule book: the highest id of `rule_changes`, 0 before the first edit."""
    return connection.scalar(select(func.max(rule_changes.c.id))) or 0
