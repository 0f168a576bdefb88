"""Copies of a SQLite database: taken while it is served, checked, and put back."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from app.errors import ConflictError, DatabaseUnavailableError

_PAGES_AT_ONCE: Final = 2000
"""Between as many pages (8 MB) writers get their turn."""

Progress = Callable[[int, int], None]


def copy_database(source: Path, target: Path, progress: Progress | None = None) -> None:
    """Write a consistent copy of a database, which may be in use, to `target`; on the disk when this returns.

    It is written under another name and renamed once it is complete and checked. Raises `DatabaseUnavailableError`.
    """
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _opened(source, "ro") as before, _opened(part, "rw") as copy:
            before.backup(
                copy, pages=_PAGES_AT_ONCE, progress=progress and (lambda _, left, total: progress(total - left, total))
            )
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        require_usable(part)
        _flush(part)
        part.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise DatabaseUnavailableError(f"{target} cannot be written: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise DatabaseUnavailableError(f"{source} cannot be copied: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def require_usable(path: Path) -> str:
    """Return the schema revision of a copy; raises `ConflictError` if it is damaged or not a database of Usher."""
    try:
        with _opened(path, "ro") as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("SELECT 1 FROM routing_rules LIMIT 1")
    except sqlite3.Error as error:
        raise ConflictError(f"{path} is not a database of Usher: {error}") from error
    if verdict != "ok" or found is None:
        raise ConflictError(f"{path} is damaged: {verdict if found else 'it has no schema revision'}")
    return str(found[0])


def set_aside(database: Path) -> Path | None:
    """Rename a database with its log, and return its new name; None if there is none. No process may have it open."""
    if not database.exists():
        return None
    aside = database.with_name(f"{database.name}.before-restore")
    number = 1
    while aside.exists():
        number += 1
        aside = database.with_name(f"{database.name}.before-restore-{number}")
    for suffix in ("-wal", "-shm", ""):  # the log first: a database without its log would be an older state
        file = database.with_name(database.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    return aside


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True)) as connection:
        connection.isolation_level = None
        yield connection


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
