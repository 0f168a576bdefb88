"""Reads the rule book from the database, with the lookups, and applies later edits to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, func, select

from app.db.editing.json_text import json_text, text_of
from app.db.rule_columns import RECORDED_COLUMNS
from app.db.tables import routing_rules, rule_changes
from app.db.types import JsonText
from app.rules.book.read_rule import read_rule
from app.rules.book.rule_book import RuleBook
from app.rules.columns import DOCUMENTS, with_instants
from app.rules.lookups.read_lookups import LOOKUPS_VERSION, read_lookups
from app.rules.rule import BadRule, Rule
from app.strict_json import JsonError, parse_json

_FETCHED = 1_000
_ASKED = 500
VERSION = select(cast(func.coalesce(func.max(rule_changes.c.id), 0), Text))
"""The version of the rule book, as a text: the id of the latest recorded edit, 0 before any."""

_VERSIONS = select(VERSION.scalar_subquery(), LOOKUPS_VERSION.scalar_subquery())


def read_version(connection: Connection) -> int:
    """Return the version of the rule book."""
    return int(connection.scalar(VERSION) or 0)


def read_versions(connection: Connection) -> tuple[int, int]:
    """Return the versions of the rules and of the lookups."""
    row = connection.execute(_VERSIONS).one()
    return int(row[0] or 0), int(row[1] or 0)


def read_book(connection: Connection) -> RuleBook:
    """Return the book of all rules and lookups as the connection's transaction sees them."""
    version, of_lookups = read_versions(connection)
    statement = _select_rules(connection).order_by(routing_rules.c.priority, routing_rules.c.id)
    book = RuleBook.build(_read_rows(connection, statement), version)
    return book.with_lookups(read_lookups(connection, of_lookups))


def follow(connection: Connection, book: RuleBook, versions: tuple[int, int] | None = None) -> RuleBook:
    """Return the present book: the same object when nothing was edited, else one with what was edited read anew.

    `versions` are those of rules and lookups in the database, if the transaction has read them already.
    """
    version, of_lookups = read_versions(connection) if versions is None else versions
    if of_lookups != book.lookups.version:
        book = book.with_lookups(read_lookups(connection, of_lookups))
    if version == book.version:
        return book
    if version < book.version:  # the database was replaced by another, or an older copy
        return read_book(connection)
    changed = list(
        connection.scalars(select(rule_changes.c.rule_id).where(rule_changes.c.id > book.version).distinct())
    )
    rows: list[Mapping[str, Any]] = []
    for start in range(0, len(changed), _ASKED):
        asked = changed[start : start + _ASKED]
        rows += _read_rows(connection, _select_rules(connection).where(routing_rules.c.id.in_(asked)))
    present = {row["id"] for row in rows}
    return book.updated(rows, [rule_id for rule_id in changed if rule_id not in present], version)


def book_at(connection: Connection, version: int) -> RuleBook:
    """Return the book as it was at a version, rebuilt from the recorded edits."""
    latest = select(func.max(rule_changes.c.id)).where(rule_changes.c.id <= version).group_by(rule_changes.c.rule_id)
    statement = select(rule_changes.c.rule_id, text_of(connection, rule_changes.c.after)).where(
        rule_changes.c.id.in_(latest), rule_changes.c.change != "delete"
    )
    found = connection.execute(statement, execution_options={"yield_per": _FETCHED})
    return RuleBook.build((_recorded_row(rule_id, text) for rule_id, text in found), version)


def rule_at(connection: Connection, rule_id: int, version: int) -> Rule | None:
    """Return a rule as it was at a version of the book; None if it did not exist or could not be used."""
    statement = (
        select(text_of(connection, rule_changes.c.after))
        .where(rule_changes.c.rule_id == rule_id, rule_changes.c.id <= version)
        .order_by(rule_changes.c.id.desc())
        .limit(1)
    )
    text = connection.scalar(statement)
    read = None if text is None else read_rule(_recorded_row(rule_id, text))
    return None if read is None or isinstance(read, BadRule) else read[0]


def _recorded_row(rule_id: int, text: str) -> Mapping[str, Any]:
    """Return the row that the history recorded; one that cannot be read has its text as a pattern, which names why."""
    try:
        row: Mapping[str, Any] = parse_json(text)
    except JsonError:
        return {"id": rule_id, "name": "", "pattern": JsonText(text)}
    # SQLite's triggers record text that is not JSON under `$not_json`.
    texts = {
        name: JsonText(value["$not_json"])
        for name in DOCUMENTS
        if isinstance(value := row.get(name), dict)
        and value.keys() == {"$not_json"}
        and isinstance(value["$not_json"], str)
    }
    return with_instants({**row, **texts})


def _select_rules(connection: Connection) -> Select[Any]:
    columns = (routing_rules.c[name] for name in RECORDED_COLUMNS)
    return select(*(text_of(connection, column) if column.name in DOCUMENTS else column for column in columns))


def _read_rows(connection: Connection, statement: Select[Any]) -> Iterator[dict[str, Any]]:
    result = connection.execute(statement, execution_options={"yield_per": _FETCHED})
    names = tuple(result.keys())
    for found in result:
        row = dict(zip(names, found, strict=True))
        for name in DOCUMENTS:
            row[name] = json_text(row[name])
        yield row
