"""Database engines: one for the writer, a pool for readers.

SQLite (the embedded default, one node) and PostgreSQL (several replicas) are both first-class.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL, make_url

from app.errors import SettingsError
from app.settings import database_url_problem

BUSY_TIMEOUT_MS = 4000
"""A write waits this long for a lock of another process; then the webhook is answered 503 and LiveKit retries."""


def parse_database_url(text: str) -> URL:
    """Return the URL with its driver filled in (`postgresql://` means psycopg); `SettingsError` when unusable."""
    problem = database_url_problem(text)
    if problem is not None:
        raise SettingsError("settings", [problem])
    url = make_url(text)
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name().startswith("postgres") else url


def is_embedded(url: URL) -> bool:
    """Return whether the database is a SQLite file of this node."""
    return url.get_backend_name() == "sqlite"


def create_writer_engine(url: URL) -> Engine:
    """Return the engine of the writer, with one connection; on SQLite its transactions take the write lock at once.

    A commit survives the end of this process; after `flush` it survives a power cut.
    """
    if is_embedded(url):
        engine = create_engine(
            url, pool_size=1, max_overflow=0, connect_args={"check_same_thread": False}, json_serializer=_json
        )
        _configure(engine, begin="BEGIN IMMEDIATE", query_only=False)
        return engine
    return _create_postgres_engine(url, pool_size=1, lock_timeout_ms=BUSY_TIMEOUT_MS)


def create_reader_engine(url: URL) -> Engine:
    """Return a pool of connections for reads in threads; on SQLite they cannot write."""
    if is_embedded(url):
        engine = create_engine(
            url, pool_size=8, max_overflow=8, connect_args={"check_same_thread": False}, json_serializer=_json
        )
        _configure(engine, begin="BEGIN", query_only=True)
        return engine
    return _create_postgres_engine(url, pool_size=8, lock_timeout_ms=BUSY_TIMEOUT_MS)


def _create_postgres_engine(url: URL, *, pool_size: int, lock_timeout_ms: int) -> Engine:
    options = f"-c lock_timeout={lock_timeout_ms} -c timezone=UTC"
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0 if pool_size == 1 else pool_size,
        pool_pre_ping=True,  # a restarted database costs one reconnect, not one failed webhook
        connect_args={"connect_timeout": 5, "options": options},
        json_serializer=_json,
    )


def _json(value: Any) -> str:
    return to_json(value).decode()  # takes a quarter of the time of json.dumps


def flush(engine: Engine) -> None:
    """Return when everything committed through a writer engine is on the disk; raises `OSError` if that fails.

    With `synchronous = FULL` SQLite does this before COMMIT returns. Here calls to LiveKit go out between the two and
    need not wait for the disk. PostgreSQL flushes within its COMMIT.
    """
    if not is_embedded(engine.url):
        return
    with suppress(FileNotFoundError):  # without shared memory there is no log, and COMMIT flushes
        log = os.open(f"{engine.url.database}-wal", os.O_RDONLY)
        try:
            _sync(log)
        finally:
            os.close(log)


_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class _HintedCompiler(SQLiteCompiler):
    """Writes `INDEXED BY` for statements with that hint, which SQLAlchemy ignores for SQLite.

    Without statistics SQLite takes the condition on `status` for selective and would read every live dispatch at each
    join. tests/integration/test_statement_plans.py holds the plans.
    """

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return text


def _configure(engine: Engine, *, begin: str, query_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver must not open transactions by itself: `begin_transaction` does, of the right kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not query_only:
            cursor.execute("PRAGMA journal_mode = WAL")
            has_log = cursor.fetchone()[0] == "wal"
            # `flush` follows each commit to the log, before the webhook is answered 200.
            cursor.execute(f"PRAGMA synchronous = {'NORMAL' if has_log else 'FULL'}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -65536")
        # The commit that reaches this many pages makes a checkpoint: every 32 MB instead of every 4.
        cursor.execute("PRAGMA wal_autocheckpoint = 8000")
        if query_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    engine.dialect.statement_compiler = _HintedCompiler

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
