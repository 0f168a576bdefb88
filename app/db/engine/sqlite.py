"""SQLite, the embedded default: a file of this node."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, pool
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from app.db.engine.driver import execute_on_driver, execute_without_begin
from app.db.engine.private_file import create_private_file
from app.db.engine.sqlite_file import SqliteFile
from app.strict_json import JsonError, parse_stored_json

JOURNAL_MODE: Final = "WAL"
WRITER_CACHE_KIB: Final = 16_384
READER_CACHE_KIB: Final = 8_192
"""Page caches, of one connection each. What they do not hold is in the kernel's cache, which costs a copy."""
CHECKPOINT_PAGES: Final = 8000
"""A commit that lets the log reach this many pages makes a checkpoint: every 32 MB instead of every 4."""
LEAST_CHECKPOINT_PAGES: Final = 100
DISK_PER_LOG: Final = 4
"""What is free on the disk is divided by this: the log takes at most a fourth, so that a checkpoint, which lets the
file grow by what is new in the log, has room."""
READERS: Final = 8
MOST_READERS: Final = 16
"""Connections that read: kept open, and at most; beyond `READERS` they are closed after their use."""
_PAGE_BYTES: Final = 4096
_FILE: Final = "usher_sqlite_file"  # execution option of a writer engine


def create_writer_engine(url: URL, busy_timeout_ms: int, **options: Any) -> Engine:
    """Return an engine with one connection, whose transactions take the write lock at once; see `file_of`."""
    engine = _create_pool(url, pool_size=1, max_overflow=0, **options)
    file = SqliteFile(url.database or "")
    engine.update_execution_options(**{_FILE: file})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        cursor = _configure(connection, busy_timeout_ms, WRITER_CACHE_KIB)
        cursor.execute(f"PRAGMA journal_mode = {JOURNAL_MODE}")
        has_log = cursor.fetchone()[0] == "wal"  # not without shared memory
        # `SqliteFile.flush` follows each commit to the log, before the webhook is answered 200.
        cursor.execute(f"PRAGMA synchronous = {'NORMAL' if has_log else 'FULL'}")
        cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()  # makes the log, if nobody else has it open
        cursor.close()
        try:
            file.opened(has_log=has_log)
        except OSError as error:
            raise sqlite3.OperationalError(str(error)) from error  # of which callers know what it means

    @event.listens_for(engine, "close")
    def closed(_connection: sqlite3.Connection, _record: Any) -> None:
        file.closed()

    @event.listens_for(engine, "engine_disposed")
    def close(_engine: Engine) -> None:
        file.close()

    _begin_by(engine, "BEGIN IMMEDIATE")

    @event.listens_for(engine, "begin")
    def stamp(connection: Connection) -> None:
        if file.stamps is None or not file.stamps.is_due:
            return
        room = file.room_for_log() // DISK_PER_LOG // _PAGE_BYTES
        pages = max(LEAST_CHECKPOINT_PAGES, min(CHECKPOINT_PAGES, room))
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {pages}")
        if (number := file.stamps.next()) is not None:
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")

    @event.listens_for(engine, "commit")
    def look_for_users(connection: Connection) -> None:
        if not file.has_noted_users:
            with suppress(DBAPIError):  # a database without a schema
                (found,) = execute_on_driver(connection, "SELECT EXISTS (SELECT 1 FROM users)").fetchone()
                file.has_users = bool(found)

    return engine


def create_reader_engine(url: URL, busy_timeout_ms: int, **options: Any) -> Engine:
    """Return a pool of connections that cannot write."""
    # The connection that was used last is used next: the caches of the others stay empty while there is little to read.
    engine = _create_pool(url, pool_size=READERS, max_overflow=MOST_READERS - READERS, pool_use_lifo=True, **options)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        cursor = _configure(connection, busy_timeout_ms, READER_CACHE_KIB)
        cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    _begin_by(engine, "BEGIN")
    return engine


def create_migration_engine(url: URL, busy_timeout_ms: int) -> Engine:
    """Return an engine for revisions: all in one transaction, without checks of foreign keys."""
    engine = create_engine(url, poolclass=pool.NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        cursor.execute(f"PRAGMA journal_mode = {JOURNAL_MODE}")
        cursor.close()

    _create_privately(engine, url)
    _begin_by(engine, "BEGIN IMMEDIATE")
    return engine


def file_of(engine: Engine) -> SqliteFile | None:
    """Return the file of a SQLite writer engine; None for any other engine."""
    file: SqliteFile | None = engine.get_execution_options().get(_FILE)
    return file


def watch_content(engine: Engine, remember: Callable[[Sequence[int]], None]) -> None:
    """From now on notice that the file of a writer engine was overwritten in place.

    Only the process that serves the database may do so. `remember` gets the numbers that its header may show.
    """
    file = file_of(engine)
    if file is None:
        return
    with engine.connect():  # so that the file is open
        file.watch_content(remember)
    with engine.begin():
        pass  # writes a number
    save_log(engine)
    file.require_in_place()


def note_users(engine: Engine) -> None:
    """Note that the database of a writer engine has users, also if they were added with SQL."""
    file = file_of(engine)
    if file is not None and not file.has_noted_users:
        with engine.begin():
            pass  # its commit looks for users
        file.note_users()


def save_log(engine: Engine) -> None:
    """Write what is in the log of a writer engine into its database file, as far as that is possible.

    SQLite has the log open and can read it even when it was removed.
    """
    _checkpoint(engine, "PASSIVE")


def make_room(engine: Engine, error: BaseException) -> None:
    """Give back the disk space of the log, or use it again, if `error` says that a write found the disk full.

    Otherwise the log, which only grows until the next checkpoint, would need more room for the next commit.
    """
    file, code = file_of(engine), getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    # The second is that of a quota.
    if file is not None and code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE} and file.may_make_room():
        _checkpoint(engine, "TRUNCATE")


def _checkpoint(engine: Engine, mode: str) -> None:
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        if driver is not None:
            waits_ms = driver.execute("PRAGMA busy_timeout").fetchone()[0]
            driver.execute("PRAGMA busy_timeout = 0").close()  # it does what is possible without waiting for reads
            with suppress(sqlite3.Error):
                driver.execute(f"PRAGMA wal_checkpoint({mode})").close()
            driver.execute(f"PRAGMA busy_timeout = {waits_ms}").close()
    finally:
        connection.close()


def _create_pool(url: URL, **options: Any) -> Engine:
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
        json_deserializer=_read_json,
        **options,
    )
    engine.dialect.statement_compiler = _HintedCompiler
    _create_privately(engine, url)
    return engine


def _read_json(stored: str) -> Any:
    try:
        return parse_stored_json(stored)
    except JsonError:
        return json.loads(stored)  # which takes NaN


def _create_privately(engine: Engine, url: URL) -> None:
    @event.listens_for(engine, "do_connect")
    def create(*_arguments: Any) -> None:
        with suppress(OSError):  # SQLite says what is wrong
            create_private_file(url.database or "")


def _configure(connection: sqlite3.Connection, busy_timeout_ms: int, cache_kib: int) -> sqlite3.Cursor:
    connection.isolation_level = None  # `_begin_by` opens the transactions, not the driver
    connection.text_factory = _text
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{cache_kib}")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return cursor


def _text(stored: bytes) -> str:
    """Return a text, with U+FFFD for bytes that are not UTF-8: by default the driver then fails the whole query.

    A script in Latin-1 writes such a rule, and SQLite checks nothing.
    """
    return stored.decode("utf-8", "replace")


def _begin_by(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        execute_without_begin(connection, statement)


class _HintedCompiler(SQLiteCompiler):
    """Writes `INDEXED BY` for statements with that hint, which SQLAlchemy ignores for SQLite.

    Without statistics SQLite takes the condition on `status` for selective and would read every live dispatch at each
    join. tests/integration/db/test_statement_plans.py holds the plans.
    """

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return text
