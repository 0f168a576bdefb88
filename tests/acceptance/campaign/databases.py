"""The database of a campaign, as an operator reaches it: plain SQL from a connection of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import NullPool, create_engine, text


class Database:
    """A database by its URL; every statement comes from a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        # A connection that is kept would hinder the restarts of a campaign.
        self._engine = create_engine(url, poolclass=NullPool, **_connect_arguments(url))

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Return what a reading query finds."""
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def change(self, statement: str, **values: Any) -> None:
        """Carry out one writing statement and commit it."""
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)

    def add_rule(self, name: str, agent_name: str, pattern: object, **columns: Any) -> None:
        """Insert a rule with plain SQL."""
        row = {"name": name, "agent_name": agent_name, "pattern": pattern, **columns}
        row = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        places = ", ".join(f":{column}" for column in row)
        self.change(f"INSERT INTO routing_rules ({', '.join(row)}) VALUES ({places})", **row)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold SQLite's write lock, as a backup or a forgotten shell does."""
        connection = self._engine.raw_connection()
        try:
            connection.cursor().execute("BEGIN IMMEDIATE")
            yield
            connection.rollback()
        finally:
            connection.close()


def _connect_arguments(url: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
