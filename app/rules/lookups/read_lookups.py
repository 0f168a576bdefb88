"""Reads the lookups from the database, usable and bad ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, Text, cast, func, select

from app.db.columns.lookup_columns import LOOKUP_COLUMNS, LOOKUP_DOCUMENTS, LOOKUP_STAMPS
from app.db.editing.json_text import json_text, text_of
from app.db.tables import lookup_changes, lookups
from app.errors import Problem
from app.rules.language.compile import compile_alternatives
from app.rules.lookups.lookup_book import BadLookup, Lookup, LookupBook
from app.rules.lookups.lookup_check import REQUIRED, check_lookup, read_lookup_pattern
from app.strict_json import JsonError, parse_json
from app.translation import translatable

LOOKUPS_VERSION: Final = select(cast(func.coalesce(func.max(lookup_changes.c.id), 0), Text))
"""The version of the lookups, as a text: the id of the latest recorded edit, 0 before any."""


def read_lookups(connection: Connection, version: int) -> LookupBook:
    """Return all lookups as the connection's transaction sees them; `version` is theirs."""
    rows = connection.execute(select_lookups(connection)).mappings()
    return _book_of([read_lookup(*read_documents(row)) for row in rows], version)


def lookup_book_of(rows: Iterable[Mapping[str, Any]]) -> LookupBook:
    """Return a book of lookups that may not be stored, each a row with every column that people write."""
    return _book_of([read_lookup({**row, "id": number}, ()) for number, row in enumerate(rows, start=1)], version=0)


def _book_of(read: Sequence[Lookup | BadLookup], version: int) -> LookupBook:
    usable = tuple(one for one in read if isinstance(one, Lookup))
    return LookupBook(version, usable, tuple(one for one in read if isinstance(one, BadLookup)))


def select_lookups(connection: Connection) -> Select[Any]:
    """Return the SELECT of all lookups by name, with documents as texts."""
    columns = (lookups.c[name] for name in ("id", *LOOKUP_COLUMNS, *LOOKUP_STAMPS))
    shown = (text_of(connection, column) if column.name in LOOKUP_DOCUMENTS else column for column in columns)
    return select(*shown).order_by(lookups.c.name)


def read_documents(row: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the columns of a row with their documents parsed, and which of these are not JSON."""
    values = {column: row[column] for column in ("id", *LOOKUP_COLUMNS)}
    if values["enabled"] in (0, 1):
        values["enabled"] = bool(values["enabled"])
    problems = []
    for column in LOOKUP_DOCUMENTS:
        stored = json_text(values[column])
        if stored is None and column not in REQUIRED:
            continue
        try:
            values[column] = parse_json(str(stored))
        except JsonError as error:
            values[column] = str(stored)
            problems.append(Problem(column, translatable("is not JSON: %(error)s", error=error), str(stored)[:200]))
    return values, problems


def read_lookup(values: Mapping[str, Any], problems: Sequence[Problem]) -> Lookup | BadLookup:
    """Return the lookup that `read_documents` has read, or the problems that make it unusable."""
    try:
        return _read(values, problems)
    except Exception as error:  # noqa: BLE001 - a defect of ours must cost one lookup, not all webhooks and lists
        message = translatable(
            "cannot be read, by a defect of Usher's: %(error)s", error=f"{type(error).__name__}: {error}"[:260]
        )
        problem = Problem("", message)
        return BadLookup(values["id"], str(values["name"]), (problem,), values["enabled"] is not False)


def _read(values: Mapping[str, Any], problems: Sequence[Problem]) -> Lookup | BadLookup:
    name = str(values["name"])
    found = list(problems) or check_lookup(values)
    pattern, _ = (None, []) if found else read_lookup_pattern(values["pattern"])
    if pattern is None:
        return BadLookup(values["id"], name, tuple(found), values["enabled"] is not False)
    return Lookup(
        id=values["id"],
        name=name,
        enabled=values["enabled"],
        url=values["url"],
        headers=values["headers"] or {},
        timeout_ms=values["timeout_ms"],
        cache_s=values["cache_s"],
        on_error=values["on_error"],
        alternatives=compile_alternatives(pattern),
    )
