"""Reads the lookups from the database, usable and bad ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Select, Text, cast, func, select, type_coerce

from app.db.tables import lookup_changes, lookups
from app.db.tables.lookups import LOOKUP_COLUMNS, LOOKUP_DOCUMENTS, LOOKUP_STAMPS
from app.errors import Problem
from app.rules.language.compile import compile_alternatives
from app.rules.lookups.lookup_book import BadLookup, Lookup, LookupBook
from app.rules.lookups.lookup_check import REQUIRED, check_lookup, read_lookup_pattern
from app.strict_json import JsonError, parse_json

LOOKUPS_VERSION: Final = select(cast(func.coalesce(func.max(lookup_changes.c.id), 0), Text))
"""The version of the lookups, as a text: the id of the latest recorded edit, 0 before any."""


def read_lookups(connection: Connection, version: int) -> LookupBook:
    """Return all lookups as the connection's transaction sees them; `version` is theirs."""
    usable: list[Lookup] = []
    bad: list[BadLookup] = []
    for row in connection.execute(select_lookups(connection)).mappings():
        read = _read_anyhow(row)
        if isinstance(read, Lookup):
            usable.append(read)
        else:
            bad.append(read)
    return LookupBook(version, tuple(usable), tuple(bad))


def _read_anyhow(row: Mapping[Any, Any]) -> Lookup | BadLookup:
    try:
        return read_lookup(row)
    except Exception as error:  # noqa: BLE001 - a defect of ours must cost one lookup, not all webhooks
        problem = Problem("", f"cannot be read, by a defect of Usher's: {type(error).__name__}: {error}"[:300])
        return BadLookup(row["id"], str(row["name"]), bool(row["enabled"]), (problem,))


def select_lookups(connection: Connection) -> Select[Any]:
    """Return the SELECT of all lookups by name, with documents as texts: plain SQL may have stored what is not JSON."""
    columns = (lookups.c[name] for name in ("id", *LOOKUP_COLUMNS, *LOOKUP_STAMPS))
    is_sqlite = connection.dialect.name == "sqlite"
    shown = (
        column
        if column.name not in LOOKUP_DOCUMENTS
        else (type_coerce(column, Text) if is_sqlite else cast(column, Text)).label(column.name)
        for column in columns
    )
    return select(*shown).order_by(lookups.c.name)


def read_lookup(row: Mapping[Any, Any]) -> Lookup | BadLookup:
    """Return the lookup of a row whose documents are texts, or the problems that make it unusable."""
    values, problems = read_documents(row)
    enabled = values["enabled"]
    name = str(values["name"])
    if not problems:
        problems = check_lookup(values)
    pattern, _ = (None, []) if problems else read_lookup_pattern(values["pattern"])
    if pattern is None:
        return BadLookup(values["id"], name, bool(enabled), tuple(problems))
    return Lookup(
        id=values["id"],
        name=name,
        enabled=enabled,
        url=values["url"],
        headers=values["headers"] or {},
        timeout_ms=values["timeout_ms"],
        cache_s=values["cache_s"],
        on_error=values["on_error"],
        pattern=values["pattern"],
        alternatives=compile_alternatives(pattern),
    )


def read_documents(row: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the columns with their documents parsed, and which of these are not JSON."""
    values = {column: row[column] for column in ("id", *LOOKUP_COLUMNS)}
    if values["enabled"] in (0, 1):
        values["enabled"] = bool(values["enabled"])
    problems = []
    for column in LOOKUP_DOCUMENTS:
        stored = values[column]
        if stored is None and column not in REQUIRED:
            continue
        try:
            # SQLite turns text that looks like a number into one, and keeps a blob as it is.
            values[column] = parse_json(stored if isinstance(stored, str | bytes) else str(stored))
        except JsonError as error:
            problems.append(Problem(column, f"is not JSON: {error}", str(stored)[:200]))
    return values, problems
