"""Rules and their history: the table that operators edit most."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from app.db.column_definition import ColumnKind, RuleColumn
from app.db.columns.action_columns import ACTION_CHECKS
from app.db.columns.column_types import Json, Quantity, Timestamp, one_of
from app.db.columns.written_types import EPOCH, InstantText, WrittenText, WrittenTimestamp
from app.db.rule_columns import OBJECTIVE_CHECK, RULE_COLUMNS
from app.db.tables.base import Serial, current_instant, flag, metadata, partial_index


def _rule_column(column: RuleColumn) -> Column[Any]:
    """Return the column of `routing_rules` for a definition."""
    types: dict[ColumnKind, Any] = {
        ColumnKind.FLAG: flag(column.name),
        ColumnKind.INSTANT: InstantText,
        ColumnKind.INTEGER: Integer,
        ColumnKind.NUMBER: Quantity,
        ColumnKind.LADDER: Json,
        ColumnKind.PATTERN: Json,
        ColumnKind.TEMPLATE: Json,
    }
    default: Any = None
    if column.kind is ColumnKind.FLAG:
        default = true() if column.default else false()
    elif not (column.is_required or column.is_nullable):
        default = str(column.default)
    return Column(column.name, types.get(column.kind, Text), nullable=column.is_nullable, server_default=default)


# One row per rule; app/db/rule_columns.py defines the columns that people write, app/rules/README.md explains patterns
# and templates. Triggers write rule_changes, updated_at and updated_by for every edit, by SQL or otherwise.
routing_rules = Table(
    "routing_rules",
    metadata,
    Column("id", Serial, primary_key=True),
    *map(_rule_column, RULE_COLUMNS),
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_by", WrittenText),  # user, or `sql`
    UniqueConstraint("name"),
    *(CheckConstraint(column.check, name=column.name) for column in RULE_COLUMNS if column.check),
    *(one_of(column.name, column.choices, column.name) for column in RULE_COLUMNS if column.choices),
    CheckConstraint(OBJECTIVE_CHECK, name="objective"),
    *(CheckConstraint(condition, name=name) for name, condition in ACTION_CHECKS.items()),
    partial_index("ix_routing_rules_objective", "id", where="objective_s IS NOT NULL"),
    sqlite_autoincrement=True,  # history, figures and undo follow ids: that of a deleted rule is given to no other
)

# Append-only, written by triggers. max(id) is the version of the rule book.
rule_changes = Table(
    "rule_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("rule_id", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("before", Json),  # the rule as an object; NULL for an insert
    Column("after", Json),  # likewise; NULL for a delete
    Column("changed_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("changed_by", WrittenText, nullable=False),
    # The same of all changes that were made together; on SQLite each change by plain SQL has its own. NULL: recorded by
    # an Usher that wrote none.
    Column("change_set", Text),
    Column("why", Text),  # given by the editor; NULL: not given, or plain SQL
    CheckConstraint("change IN ('insert', 'update', 'delete')", name="change"),
    Index(None, "rule_id", "id"),
    partial_index("ix_rule_changes_change_set", "change_set", where="change_set IS NOT NULL"),
    # For the SQLite trigger that looks for a removed rule by its name.
    Index("ix_rule_changes_replaced", text("json_extract(\"after\", '$.name')")).ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,
)

# The user whose edits the current transaction makes: inserted first and deleted before commit, so other transactions
# never see it. The triggers read it; if it is empty, the edit came by plain SQL.
rule_editor = Table(
    "rule_editor",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
    Column("change_set", Text),  # of the changes that the transaction makes
    Column("why", Text),
)
