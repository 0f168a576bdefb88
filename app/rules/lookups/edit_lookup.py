"""Reads stored lookups, and creates, replaces and deletes one, refusing an edit that is based on an older version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, null, select, update

from app.db.columns.lookup_columns import LOOKUP_COLUMNS, LOOKUP_DOCUMENTS
from app.db.editing.edit import edited_by, lock_edits, refuse_if_edited
from app.db.tables import lookup_changes, lookups
from app.db.types import format_instant
from app.errors import ConflictError, EditedMeanwhileError, InvalidInputError, NotFoundError, Problem
from app.rules.lookups.lookup_book import BadLookup, Lookup
from app.rules.lookups.lookup_check import REQUIRED, check_lookup, complete
from app.rules.lookups.read_lookups import read_documents, read_lookup, select_lookups
from app.strict_json import is_storable, same_json
from app.translation import translatable


@dataclass(frozen=True, slots=True)
class StoredLookup:
    """A lookup as it stands; `version` is the id of its latest recorded change, which `If-Match` names."""

    id: int
    version: int
    row: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    updated_by: str | None
    read: Lookup | BadLookup

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why it cannot be used; empty when it can."""
        return self.read.problems if isinstance(self.read, BadLookup) else ()

    @property
    def usable(self) -> Lookup | None:
        """The lookup; None when it cannot be used."""
        return self.read if isinstance(self.read, Lookup) else None

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    @property
    def name(self) -> str:
        return str(self.row["name"])

    def to_json(self) -> dict[str, Any]:
        """Return the lookup with every column and its version."""
        return {
            "id": self.id,
            **{column: self.row[column] for column in LOOKUP_COLUMNS},
            "version": self.version,
            "created_at": format_instant(self.created_at),
            "updated_at": format_instant(self.updated_at),
            "updated_by": self.updated_by,
        }


def list_stored_lookups(connection: Connection) -> list[StoredLookup]:
    """Return all lookups by name, bad ones too."""
    latest = select(lookup_changes.c.lookup_id, func.max(lookup_changes.c.id)).group_by(lookup_changes.c.lookup_id)
    versions = {row[0]: row[1] for row in connection.execute(latest)}
    rows = connection.execute(select_lookups(connection)).mappings().all()
    return [_stored(row, versions.get(row["id"], 0)) for row in rows]


def find_lookup(connection: Connection, name: str) -> StoredLookup | None:
    """Return the lookup of that name; None when there is none."""
    if not is_storable(name):
        return None
    row = connection.execute(select_lookups(connection).where(lookups.c.name == name)).mappings().first()
    if row is None:
        return None
    version = connection.scalar(select(func.max(lookup_changes.c.id)).where(lookup_changes.c.lookup_id == row["id"]))
    return _stored(row, version or 0)


def read_stored_lookup(connection: Connection, name: str) -> StoredLookup:
    """Return the lookup of that name; NotFoundError when there is none."""
    found = find_lookup(connection, name)
    if found is None:
        raise NotFoundError(translatable("no lookup has the name %(name)s", name=repr(name)))
    return found


def put_lookup(
    connection: Connection,
    name: str,
    columns: Mapping[str, Any],
    editor: str,
    expected: int | None,
    *,
    only_new: bool = False,
) -> StoredLookup:
    """Create the lookup of that name, or replace it unless `only_new`; columns that are left out get their defaults.

    InvalidInputError with every problem; EditedMeanwhileError unless it is still at version `expected` (None: whatever
    it is at, or new); ConflictError when its name, or the one that `columns` give it, is taken.
    """
    draft = {**columns, "name": columns.get("name") or name}
    if problems := check_lookup(draft):
        raise InvalidInputError(translatable("this lookup cannot be saved"), problems)
    lock_edits(connection, lookups)
    before = find_lookup(connection, name)
    _refuse_if_edited(connection, name, before, expected)
    row = complete(draft)
    if only_new and before is not None:
        raise ConflictError(translatable("there is a lookup named %(name)s already", name=repr(name)))
    if row["name"] != name and find_lookup(connection, row["name"]) is not None:
        raise ConflictError(translatable("there is a lookup named %(name)s already", name=repr(row["name"])))
    values = stored_values(row)
    if before is None:
        with edited_by(connection, editor):
            connection.execute(insert(lookups).values(values))
    elif not all(same_json(before.row[column], row[column]) for column in LOOKUP_COLUMNS):
        with edited_by(connection, editor):
            connection.execute(update(lookups).where(lookups.c.id == before.id).values(values))
    return read_stored_lookup(connection, row["name"])


def delete_lookup(connection: Connection, name: str, editor: str, expected: int | None) -> StoredLookup:
    """Delete a lookup and return what it was; its history stays."""
    lock_edits(connection, lookups)
    before = read_stored_lookup(connection, name)
    _refuse_if_edited(connection, name, before, expected)
    with edited_by(connection, editor):
        connection.execute(delete(lookups).where(lookups.c.id == before.id))
    return before


def rows_of_lookups(connection: Connection) -> list[dict[str, Any]]:
    """Return each lookup as a row with the columns that people write; what is not JSON is a text."""
    return [{column: one.row[column] for column in LOOKUP_COLUMNS} for one in list_stored_lookups(connection)]


def stored_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store for a complete row; a JSON column that is null holds NULL, not JSON's null."""
    return {
        column: null() if value is None and column in LOOKUP_DOCUMENTS and column not in REQUIRED else value
        for column, value in row.items()
    }


def _stored(row: Mapping[Any, Any], version: int) -> StoredLookup:
    values, problems = read_documents(row)
    return StoredLookup(
        row["id"],
        version,
        values,
        row["created_at"],
        row["updated_at"],
        row["updated_by"],
        read_lookup(values, problems),
    )


def _refuse_if_edited(connection: Connection, name: str, found: StoredLookup | None, expected: int | None) -> None:
    if expected is not None and found is None:
        raise EditedMeanwhileError(
            translatable("the lookup %(name)s was deleted meanwhile; nothing was saved", name=repr(name))
        )
    if found is not None:
        refuse_if_edited(connection, lookup_changes, translatable("lookup"), found.version, expected)
