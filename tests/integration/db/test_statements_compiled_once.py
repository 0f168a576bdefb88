"""SQLite compiles a statement anew at each run if a value that is bound decides which partial index serves it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Integer, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeEngine

import app
from app.db.columns.column_types import Timestamp
from app.db.hot_statement import CombinedQuery, HotStatement
from tests.conftest import Database

_STATEMENTS = text("SELECT sql, reprep FROM sqlite_stmt WHERE reprep > 0")


def hot_statements() -> Collection[HotStatement]:
    """Return the statements that modules of the product make when they are imported; pages and tests make others."""
    found: dict[int, HotStatement] = {}
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            for part in value if isinstance(value, tuple) else [value]:
                one = part.hot_statement if isinstance(part, CombinedQuery) else part
                if isinstance(one, HotStatement):
                    found[id(one)] = one
    return found.values()


def value_for(kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, Timestamp):
        return datetime(2026, 11, 26, tzinfo=UTC)
    if isinstance(kind, Integer):
        return 1
    return ["a", "b"] if type(kind).__name__ == "_Texts" else "a"


def test_sqlite_compiles_each_hot_statement_once(sqlite_database: Database) -> None:
    found = hot_statements()
    assert len(found) > 30
    with sqlite_database.writer_engine().connect() as connection:
        try:
            connection.execute(_STATEMENTS)
        except OperationalError:
            pytest.skip("this SQLite does not tell how often it has compiled a statement")
        for one in found:
            binds = one.statement.compile(dialect=connection.dialect).binds
            values = {name: value_for(bind.type) for name, bind in binds.items() if bind.required}
            for _ in range(3):
                (one.rows if isinstance(one.statement, SelectBase) else one.run)(connection, values)
            connection.rollback()
            assert connection.execute(_STATEMENTS).all() == []
