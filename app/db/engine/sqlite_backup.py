"""Copies of a SQLite database: taken while it is served, checked, and put back."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from app.db.engine.private_file import read_only_folder
from app.errors import ConflictError, DatabaseUnavailableError

_PAGES_AT_ONCE: Final = 2000
"""Between as many pages (8 MB) writers get their turn."""

_OF_LOG: Final = ("-wal", "-shm")
_FORMAT: Final = b"SQLite format 3\0"  # what each SQLite file begins with

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
        folder = read_only_folder(source)
        why = f"{error}" if folder is None else f"{error}: the file system of {folder} is read-only"
        raise DatabaseUnavailableError(f"{source} cannot be copied: {why}") from error
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


def has_users(path: Path) -> bool:
    """Return whether a copy has users; False if its schema is too old to have any."""
    with contextlib.suppress(sqlite3.Error), _opened(path, "ro") as connection:
        return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM users)").fetchone()[0])
    return False


def replace_database(database: Path, incoming: Path) -> Path | None:
    """Rename `incoming` to `database`; return the name that the database before has now, None if there was none.

    No process may have either open. Whenever this is interrupted, the database before is whole under one of its names,
    and its log is never beside another database: SQLite would apply it.
    """
    aside = _unused_name(database) if database.exists() else None
    try:
        if aside is None or not _is_whole_without_log(database):
            _move_log(database, aside or _unused_name(database))
        if aside is not None:
            _also_name(database, aside)
        _flush(database.parent)
        incoming.replace(database)
        _flush(database.parent)
    except OSError as error:
        raise DatabaseUnavailableError(f"{database} cannot be replaced: {error.strerror or error}") from error
    return aside


def _unused_name(database: Path) -> Path:
    aside, number = database.with_name(f"{database.name}.before-restore"), 1
    while aside.exists() or _beside(aside, "-wal").exists():
        number += 1
        aside = database.with_name(f"{database.name}.before-restore-{number}")
    return aside


def _is_whole_without_log(database: Path) -> bool:
    """Return whether the database needs no log, once what the log holds has been written into it."""
    with database.open("rb") as file:
        is_database = file.read(len(_FORMAT)) == _FORMAT
    if is_database:
        with contextlib.suppress(sqlite3.Error), _opened(database, "rw") as connection:
            connection.execute("PRAGMA journal_mode = DELETE").close()
    return not any(_beside(database, suffix).exists() for suffix in _OF_LOG)


def _move_log(database: Path, aside: Path) -> None:
    """Give the log, which SQLite cannot write into a damaged or missing database, the name that belongs to `aside`."""
    for suffix in _OF_LOG:
        if (file := _beside(database, suffix)).exists():
            file.rename(_beside(aside, suffix))


def _also_name(database: Path, aside: Path) -> None:
    try:
        aside.hardlink_to(database)
    except OSError:  # a file system without links
        database.rename(aside)


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


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
