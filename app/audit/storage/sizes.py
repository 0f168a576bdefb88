"""How many bytes each table and each index takes, by what the databases themselves keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import Connection, TextClause, func, select, table, text
from sqlalchemy.exc import DBAPIError

from app.json_shape import JsonShape


@dataclass(frozen=True, slots=True)
class IndexSize(JsonShape):
    """One index."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TableSize(JsonShape):
    """One table with its indexes, largest first."""

    name: str
    rows: Annotated[int | None, Field(description="PostgreSQL: an estimate")]
    dead_rows: Annotated[int | None, Field(description="deleted or replaced, and not vacuumed yet; null on SQLite")]
    bytes: Annotated[int, Field(description="without indexes")]
    total_bytes: int
    indexes: tuple[IndexSize, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """All tables, largest first; `free_bytes` of the file are used before it grows, None where only tables have them.

    `log_bytes` has the write-ahead log beside a SQLite file, which is not in the total.

    `tables` is None where SQLite was built without the table `dbstat`, which knows the pages of each table.
    """

    total_bytes: int
    free_bytes: int | None
    log_bytes: int | None
    tables: tuple[TableSize, ...] | None


_ON_POSTGRESQL: Final = text(
    """SELECT c.relname AS name, coalesce(t.relname, c.relname) AS of_table, c.relkind = 'i' AS is_index,
        pg_relation_size(c.oid) + coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS bytes,
        s.n_live_tup AS rows, s.n_dead_tup AS dead_rows
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
      LEFT JOIN pg_index i ON i.indexrelid = c.oid
      LEFT JOIN pg_class t ON t.oid = i.indrelid
      LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
     WHERE c.relkind IN ('r', 'i')"""
)
_ON_SQLITE: Final = text(
    """SELECT m.name AS name, m.tbl_name AS of_table, m.type = 'index' AS is_index, sum(d.pgsize) AS bytes,
        NULL AS rows, NULL AS dead_rows
      FROM dbstat d JOIN sqlite_master m ON m.name = d.name WHERE d.aggregate = TRUE GROUP BY 1, 2, 3"""
)


def read_sizes(connection: Connection) -> Sizes:
    """Return the sizes of all tables; on SQLite this reads the whole file."""
    if connection.dialect.name == "postgresql":
        total = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        return Sizes(total, None, None, _tables(connection, _ON_POSTGRESQL, {}))
    page, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
        for name in ("page_size", "page_count", "freelist_count")
    )
    names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"))
    rows = {name: connection.scalar(select(func.count()).select_from(table(name))) or 0 for name in names}
    try:
        tables = _tables(connection, _ON_SQLITE, rows)
    except DBAPIError as error:
        if "dbstat" not in str(error):
            raise
        tables = None
    return Sizes(page * pages, page * free, _log_bytes(connection), tables)


def _log_bytes(connection: Connection) -> int:
    file = next((row.file for row in connection.exec_driver_sql("PRAGMA database_list") if row.name == "main"), "")
    try:
        return Path(f"{file}-wal").stat().st_size if file else 0
    except OSError:  # it is not there while nobody writes
        return 0


def _tables(connection: Connection, query: TextClause, rows: Mapping[str, int]) -> tuple[TableSize, ...]:
    found = connection.execute(query).mappings().all()
    indexes: dict[str, list[IndexSize]] = {}
    for row in found:
        if row["is_index"]:
            indexes.setdefault(row["of_table"], []).append(IndexSize(row["name"], int(row["bytes"])))
    tables = []
    for row in found:
        if not row["is_index"]:
            of_table = tuple(sorted(indexes.get(row["name"], ()), key=lambda one: (-one.bytes, one.name)))
            total = int(row["bytes"]) + sum(one.bytes for one in of_table)
            count = rows.get(row["name"], row["rows"])
            tables.append(TableSize(row["name"], count, row["dead_rows"], int(row["bytes"]), total, of_table))
    return tuple(sorted(tables, key=lambda one: (-one.total_bytes, one.name)))
