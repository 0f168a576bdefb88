"""Database engines: one for the writer thread, one for readers.

SQLite (the embedded default, one node) and PostgreSQL (several replicas) are both first-class.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import PoolProxiedConnection

from app.errors import SettingsError
from app.settings import database_url_problem

BUSY_TIMEOUT_MS = 4000
"""How long a write waits for a lock held by another process before the webhook is answered 503."""


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
    """Return the engine of the one writer thread; its transactions take SQLite's write lock at once.

    What it has committed outlives this process; what `flush` has followed outlives a power cut.
    """
    if is_embedded(url):
        engine = create_engine(url, pool_size=1, max_overflow=0, connect_args={"check_same_thread": False})
        _configure(engine, begin="BEGIN IMMEDIATE", query_only=False)
        return engine
    return _create_postgres_engine(url, pool_size=1, lock_timeout_ms=BUSY_TIMEOUT_MS)


def create_reader_engine(url: URL) -> Engine:
    """Return a pool of connections for reads in threads; on SQLite they cannot write."""
    if is_embedded(url):
        engine = create_engine(url, pool_size=8, max_overflow=8, connect_args={"check_same_thread": False})
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
    )


def flush(engine: Engine) -> None:
    """Return once all that was committed through a writer engine is on the disk; raises `OSError` when it is not.

    With `synchronous = FULL` SQLite does just this before COMMIT returns. Here the calls to LiveKit need not wait for
    the disk: they go out between the two. PostgreSQL flushes within its COMMIT.
    """
    if not is_embedded(engine.url):
        return
    with suppress(FileNotFoundError):  # a file system without shared memory has no log, and flushes within COMMIT
        log = os.open(f"{engine.url.database}-wal", os.O_RDONLY)
        try:
            _sync(log)
        finally:
            os.close(log)


_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class _HintedCompiler(SQLiteCompiler):
    """Writes `INDEXED BY` where a statement has that hint; SQLAlchemy leaves hints for SQLite out."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return text


def _configure(engine: Engine, *, begin: str, query_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver must not open transactions by itself: `begin_transaction` below says which kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not query_only:
            cursor.execute("PRAGMA journal_mode = WAL")
            has_log = cursor.fetchone()[0] == "wal"
            # What was answered 200 survives a power cut: `flush` follows each commit to the log.
            cursor.execute(f"PRAGMA synchronous = {'NORMAL' if has_log else 'FULL'}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -65536")
        # A checkpoint is made by whoever commits: every 32 MB, not every 4, it keeps fewer waiting.
        cursor.execute("PRAGMA wal_autocheckpoint = 8000")
        if query_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    engine.dialect.statement_compiler = _HintedCompiler

    def begin_transaction(dbapi_connection: PoolProxiedConnection) -> None:
        dbapi_connection.cursor().execute(begin)

    # The dialect's own hook: a listener for "begin" would cost every statement its 20 µs (measured: 90 against 70).
    engine.dialect.do_begin = begin_transaction  # type: ignore[method-assign]
