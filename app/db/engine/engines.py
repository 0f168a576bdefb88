"""The engines of a process, for either kind of database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import postgres, sqlite
from app.db.engine.postgres import Timeouts
from app.db.engine.private_file import read_only_folder
from app.db.engine.sqlite_file import LogMissingError
from app.db.engine.url import is_embedded
from app.errors import cause_of
from app.translation import translatable

LOCK_TIMEOUT_MS: Final = 3000
"""A write waits this long for a lock of another process; then the webhook is answered 503 and LiveKit retries."""
_WRITER: Final = Timeouts(LOCK_TIMEOUT_MS, statement_ms=8_000, idle_ms=10_000, answer_ms=10_000)
_READER: Final = Timeouts(LOCK_TIMEOUT_MS, statement_ms=30_000, idle_ms=300_000, answer_ms=35_000)
"""For pages, figures and exports; an export is idle while its receiver is slow."""
_MIGRATION: Final = Timeouts(10_000)
"""While it waits for its lock behind a long read, a revision would block all webhooks behind it. It may take long."""
_POOL_TIMEOUT_S: Final = 5
"""A read waits this long for a connection while all are in use."""


def create_writer_engine(url: URL) -> Engine:
    """Return the engine of the writer, with one connection; on SQLite its transactions take the write lock at once.

    A commit survives the end of this process; after `flush` it survives a power cut.
    """
    if is_embedded(url):
        return sqlite.create_writer_engine(url, LOCK_TIMEOUT_MS, json_serializer=_json)
    return postgres.create_pool(url, _WRITER, pool_size=1, max_overflow=0, json_serializer=_json)


def create_reader_engine(url: URL) -> Engine:
    """Return a pool of connections for reads in threads; on SQLite they cannot write."""
    if is_embedded(url):
        return sqlite.create_reader_engine(url, LOCK_TIMEOUT_MS, json_serializer=_json)
    return postgres.create_pool(
        url,
        _READER,
        pool_size=8,
        max_overflow=8,
        pool_timeout=_POOL_TIMEOUT_S,
        compiles=False,  # our reads are bounded; to compile one takes longer than to run it
        pool_pre_ping=True,  # a restarted database costs one reconnect, not one failed page
        json_serializer=_json,
    )


def create_migration_engine(url: URL) -> Engine:
    """Return an engine that opens a connection for each use."""
    if is_embedded(url):
        return sqlite.create_migration_engine(url, LOCK_TIMEOUT_MS)
    return postgres.create_migration_engine(url, _MIGRATION)


def has_not_begun(error: BaseException) -> bool:
    """Return whether a transaction failed with `error` because its connection broke before it had begun."""
    return postgres.has_not_begun(error)


def is_lock_timeout(error: BaseException) -> bool:
    """Return whether a statement on PostgreSQL failed with `error` since another transaction held what it needed."""
    return postgres.is_lock_timeout(error)


def with_lock_timeout(engine: Engine, milliseconds: int) -> Engine:
    """Return the same engine for transactions on PostgreSQL that wait so long for a lock, unless DATABASE_URL says it.

    On SQLite they wait as others do, since each write there locks the whole database.
    """
    if is_embedded(engine.url):
        return engine
    return engine.execution_options(**{postgres.LOCK_TIMEOUT_OPTION: milliseconds})


def require_storage(engine: Engine) -> None:
    """Raise `OSError` if the file that a SQLite writer engine has open is no longer at its path."""
    if (file := sqlite.file_of(engine)) is not None:
        try:
            file.require_in_place()
        except OSError as error:
            file.note_users_again()
            if isinstance(error, LogMissingError):
                sqlite.save_log(engine)
            raise


def note_commit(engine: Engine) -> None:
    """Do what follows a commit through a writer engine: a SQLite database that now has users gets a note beside it."""
    if (file := sqlite.file_of(engine)) is not None:
        file.note_users()


def cause_in(url: URL, error: Exception) -> str:
    """Return what a driver says of the database at `url`, and of a SQLite file that its file system is read-only."""
    if is_embedded(url) and (folder := read_only_folder(url.database or "")) is not None:
        return f"{cause_of(error)}: the file system of {folder} is read-only"
    if is_lock_timeout(error):
        return translatable(
            "another transaction holds what it needs and has not ended; try again once that is committed or rolled back"
        )
    return cause_of(error)


def make_room(engine: Engine, error: BaseException) -> None:
    """Let a SQLite writer engine go on with the disk that there is, if `error` says that a write found it full."""
    sqlite.make_room(engine, error)


def watch_storage(engine: Engine, remember: Callable[[Sequence[int]], None]) -> None:
    """From now on let `require_storage` notice, too, that the file of a SQLite writer engine was overwritten in place.

    For the process that serves the database. `remember` gets, every few seconds of work, the numbers that the file's
    header may show.
    """
    sqlite.watch_content(engine, remember)


def release_storage(engine: Engine) -> None:
    """Prepare a writer engine for its end: see `SqliteFile.release`."""
    if (file := sqlite.file_of(engine)) is not None:
        with suppress(OSError, SQLAlchemyError):
            require_storage(engine)
            sqlite.note_users(engine)
        file.release()


def needs_flush(engine: Engine) -> bool:
    """Return whether commits through a writer engine are on the disk only after `flush`."""
    return sqlite.file_of(engine) is not None


def flush(engine: Engine) -> None:
    """Return when everything committed through a writer engine is on the disk; raises `OSError` if that fails.

    With `synchronous = FULL` SQLite does this before COMMIT returns. Here calls to LiveKit go out between the two and
    need not wait for the disk. PostgreSQL flushes within its COMMIT.
    """
    if (file := sqlite.file_of(engine)) is not None:
        file.flush()


def _json(value: Any) -> str:
    return to_json(value).decode()  # takes a quarter of the time of json.dumps
