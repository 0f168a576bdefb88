"""Brings lookups and agents to what a rules file says, as `apply` does with rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, computed_field
from sqlalchemy import Connection, Table, delete, func, insert, select, update

from app.agents.agent_check import checked
from app.agents.stored_agents import rows_of_agents
from app.db.engine import REFUSALS, words_of
from app.db.tables import agent_changes, agents, lookup_changes, lookups
from app.errors import ConflictError
from app.json_shape import JsonShape
from app.rules.editing.difference import Change, ValueChange, count_changes, is_effective, values_of
from app.rules.editing.file_tables import AGENTS, LOOKUPS, FileTable
from app.rules.lookups.edit_lookup import rows_of_lookups, stored_values
from app.strict_json import same_json


@dataclass(frozen=True, slots=True, eq=False)
class EditedTable:
    """A table that a rules file may hold beside the rules, and how its rows are read and written."""

    file: FileTable
    table: Table
    changes: Table
    read: Callable[[Connection], list[dict[str, Any]]]
    to_values: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Returns what to store for a complete row."""


def _agent_values(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in row.items() if name != "agent_name"}
    return {"agent_name": row["agent_name"], **checked(row["agent_name"], values)}


EDITED_TABLES: Final = (
    EditedTable(LOOKUPS, lookups, lookup_changes, rows_of_lookups, stored_values),
    EditedTable(AGENTS, agents, agent_changes, rows_of_agents, _agent_values),
)


@dataclass(frozen=True, slots=True)
class RowDifference(JsonShape):
    """What becomes of one lookup, or of what is set for one agent, and which of its values change."""

    change: Change
    name: str
    before: Annotated[Mapping[str, Any] | None, Field(exclude=True)]  # None for a new row
    after: Annotated[Mapping[str, Any] | None, Field(exclude=True)]  # None for one that goes or is kept
    columns: Annotated[tuple[str, ...], Field(exclude=True)]
    """Those whose values are not the same; of a new row, those that have no default."""

    @computed_field  # type: ignore[prop-decorator] # mypy allows nothing on top of a property
    @property
    def values(self) -> tuple[ValueChange, ...]:
        """What changes; of a new row, every value that is not the default."""
        return values_of(self.columns, self.before, self.after)


@dataclass(frozen=True, slots=True)
class TableEdit:
    """What became of a table, or would have become of it; `version` is the id of its latest change afterwards."""

    differences: Sequence[RowDifference]
    version: int

    def to_json(self) -> dict[str, Any]:
        """Return version, changed rows and counts as a JSON object."""
        changes = [one.to_json() for one in self.differences if is_effective(one)]
        return {"version": self.version, "changes": changes, "counts": count_changes(self.differences)}

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The rows of the table afterwards."""
        kept = (one.before if one.change is Change.KEPT else one.after for one in self.differences)
        return [row for row in kept if row is not None]


def diff_rows(
    file: FileTable, current: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]], *, delete: bool
) -> list[RowDifference]:
    """Return what it takes to make `current` into `wanted`, complete rows both, as `difference.diff` does for rules."""
    left = {row[file.name]: row for row in current}
    differences = []
    for row in wanted:
        before = left.pop(row[file.name], None)
        compared: Mapping[str, Any] = file.defaults if before is None else before
        columns = tuple(
            column
            for column in file.columns
            if column != file.name and (column not in compared or not same_json(compared[column], row[column]))
        )
        change = Change.CREATED if before is None else Change.CHANGED if columns else Change.UNCHANGED
        differences.append(RowDifference(change, str(row[file.name]), before, row, columns))
    change = Change.DELETED if delete else Change.KEPT
    return differences + [RowDifference(change, str(name), row, None, ()) for name, row in left.items()]


def table_version(connection: Connection, edited: EditedTable) -> int:
    """Return the id of the latest recorded change of the table; 0 before the first."""
    return connection.scalar(select(func.max(edited.changes.c.id))) or 0


def refuse_if_moved(connection: Connection, edited: EditedTable, expected: int | None) -> None:
    """Raise ConflictError unless the table is at version `expected`; None: any."""
    version = table_version(connection, edited)
    if expected is None or expected == version:
        return
    key = edited.file.key
    if version < expected:
        raise ConflictError(f"there is no version {expected} of the {key}; the latest is {version}")
    changes = edited.changes.c
    query = select(changes.changed_by, changes.change, changes.before, changes.after).where(changes.id > expected)
    latest = connection.execute(query.order_by(changes.id.desc()).limit(3)).all()
    who = "; ".join(
        f"{one.changed_by}: {one.change} {(one.after or one.before or {}).get(edited.file.name)!r}" for one in latest
    )
    raise ConflictError(
        f"the {key} were edited meanwhile (version {expected} is now {version}; latest edits: {who}); "
        f"nothing was changed; compare with the present {key} and try again"
    )


def write_rows(connection: Connection, edited: EditedTable, differences: Iterable[RowDifference]) -> None:
    """Write the differences, deletions first; ConflictError if the database refuses one."""
    table, name = edited.table, edited.table.c[edited.file.name]
    in_order = sorted(filter(is_effective, differences), key=lambda one: one.change is not Change.DELETED)
    try:
        for one in in_order:
            if one.after is None:
                connection.execute(delete(table).where(name == one.name))
            elif one.before is None:
                connection.execute(insert(table).values(edited.to_values(one.after)))
            else:
                values = edited.to_values(one.after)
                changed = {column: values[column] for column in one.columns}
                connection.execute(update(table).where(name == one.name).values(changed))
    except REFUSALS as error:
        raise ConflictError(f"the database refuses the {edited.file.key}: {words_of(error)}") from error
