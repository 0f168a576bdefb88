"""The structure of a database as comparable text: tables, constraints, indexes with predicates, triggers, functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection

Structure = dict[str, str]
"""Each object's name and kind, with its definition in one spelling."""

_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|\w+|<>|<=|>=|\|\||::|:=|[^\w\s]")

_POSTGRESQL = {
    "column": """
        SELECT c.relname || '.' || a.attname,
               format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
               || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraint": """
        SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
               || CASE WHEN convalidated THEN '' ELSE ' NOT VALID' END
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
    "index": """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
               || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE c.relnamespace = 'public'::regnamespace""",
    "trigger": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "function": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
}


def read_structure(connection: Connection) -> Structure:
    """Return the definitions of all objects but alembic's own table; the order of columns is not part of it.

    A column that a revision adds stands last in a database that exists, wherever `app.db.tables` names it.
    """
    found = _sqlite(connection) if connection.dialect.name == "sqlite" else _postgresql(connection)
    return {name: definition for name, definition in found if "alembic_version" not in name}


def _postgresql(connection: Connection) -> Iterator[tuple[str, str]]:
    for kind, query in _POSTGRESQL.items():
        for name, definition in connection.exec_driver_sql(query):
            yield f"{kind} {name}", " ".join(_tokens(definition))


def _sqlite(connection: Connection) -> Iterator[tuple[str, str]]:
    rows = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    for kind, name, definition in rows:
        if kind != "table":
            yield f"{kind} {name}", " ".join(_tokens(definition))
        elif name != "sqlite_sequence":
            yield from ((f"{kind} {name}.{part.split()[0]}", part) for part in _parts_of_table(definition))


def _parts_of_table(definition: str) -> Iterator[str]:
    """Yield columns and constraints, each beginning with its name; those after a column are given as the table's."""
    tokens = _tokens(definition)
    inside, after = tokens[tokens.index("(") + 1 : -1], tokens[-1]
    if after != ")":
        raise AssertionError(f"options after the columns are not read yet: {definition}")
    depth = 0
    part: list[str] = []
    for token in [*inside, ","]:
        depth += {"(": 1, ")": -1}.get(token, 0)
        starts_constraint = token == "CONSTRAINT" and depth == 0
        if (token == "," and depth == 0) or (starts_constraint and part):
            yield " ".join(part)
            part = []
        if not (depth == 0 and token in {",", "CONSTRAINT"}):
            part.append(token)


def _tokens(definition: str) -> list[str]:
    """Split into words, without comments, white space and quotation marks that change nothing."""
    return [
        re.sub(r'^"([a-z_]+)"$', r"\1", token) for token in _TOKEN.findall(definition) if not token.startswith("--")
    ]
