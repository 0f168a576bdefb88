"""The claim of one serving process on a SQLite database: the file `<database>.serving`, locked while it serves.

The file also holds what is needed once the database is gone or replaced: whether it had users, and which numbers its
header may show (`app/db/engine/sqlite_stamps.py`). If it were not known that there were users, a server whose file was
lost would make a new first admin of anybody. Each process that adds the first user writes that down; the numbers are
written by the serving process alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import URL

from app.db.engine.private_file import create_private_file, readable_by_others
from app.db.engine.sqlite_stamps import read_stamp, set_log_aside
from app.errors import ConflictError, DatabaseUnavailableError
from app.logs import get_logger

_log = get_logger(__name__)

_NOTE: Final = json.dumps({"had_users": True})


class SqliteClaim:
    """Held from `claim_database` to `close`."""

    def __init__(self, file: FileIO, database: str) -> None:
        self._file = file
        self._database = database
        text = _read(file)
        self.had_users = had_users(text)
        self._stamps = [stamp for line in read_lines(text) for stamp in line.get("stamps", ()) if type(stamp) is int]

    def close(self) -> None:
        """Let another process serve the database."""
        self._file.close()

    def remember(self, stamps: Sequence[int]) -> None:
        """Store which numbers the file's header may show; `OSError` if the disk is full."""
        self._stamps = list(stamps)
        self._write()

    def prepare(self) -> None:
        """Make the database ready to be opened; `ConflictError` if it had users and its file is missing or empty.

        A log that does not belong to the file is set aside: SQLite would apply it to a backup that was copied here.
        """
        require_not_lost(self._database)
        if not self._stamps or not Path(self._database).exists():
            return
        try:
            belongs = read_stamp(self._database) in self._stamps
        except sqlite3.Error:
            return  # what opens the database next says what is wrong with it
        if not belongs and (aside := set_log_aside(self._database)) is not None:
            _log.warning("the database file was replaced; the log of the one before was set aside", log=str(aside))

    def warn_if_readable(self) -> None:
        """Log a warning if others than the owner may read files of the database."""
        if loose := readable_by_others(self._database):
            names = " ".join(str(file) for file in loose)
            _log.warning("other users of this machine can read the database; run: chmod 600 " + names)

    def _write(self) -> None:
        self._lock_again_if_removed()
        before = _read(self._file)
        self.had_users = self.had_users or had_users(before)  # other processes note it, too: `note_users`
        text = json.dumps({"stamps": self._stamps, "had_users": self.had_users})
        self._file.seek(0)
        self._file.write(text.ljust(len(before)).encode())  # in one write, which a kill does not cut
        os.fsync(self._file.fileno())

    def _lock_again_if_removed(self) -> None:
        """Take the lock anew if the file is gone, so that no second process serves the database beside this one."""
        path = serving_file(self._database)
        if path.exists() and os.path.samestat(path.stat(), os.fstat(self._file.fileno())):
            return
        file = _open(path)
        _lock(file)
        self.had_users = self.had_users or had_users(_read(self._file))
        self._file.close()
        self._file = file


def claim_database(url: URL) -> SqliteClaim:
    """Hold the embedded database for this process: leases of any other are then known to be dead."""
    database = os.path.realpath(url.database or "")  # the same one by whichever link
    path = serving_file(database)
    try:
        file = _open(path)
    except FileNotFoundError as error:
        message = f"cannot open the database {url.database}: there is no folder {path.parent} (see DATABASE_URL)"
        raise DatabaseUnavailableError(message) from error
    except OSError as error:
        if error.errno == errno.EROFS:
            message = f"the file system of {path.parent} is read-only, and Usher writes there (see DATABASE_URL)"
            raise DatabaseUnavailableError(message) from error
        message = f"cannot open {path}, the lock of the database: {error.strerror}; it must belong to the user that "
        raise ConflictError(message + "serves, as the database must (see DATABASE_URL)") from error
    try:
        _lock(file)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise ConflictError(f"cannot lock {path}: {error.strerror} (see DATABASE_URL)") from error
        raise ConflictError(
            f"another usher serve runs on {url.database}; a SQLite database serves one process, "
            "use PostgreSQL for several"
        ) from error
    return SqliteClaim(file, database)


def _open(path: Path) -> FileIO:
    create_private_file(path)
    # Without a buffer: what a full disk did not take would be written by `close`, or with what comes next.
    return path.open("r+b", buffering=0)


def _read(file: FileIO) -> str:
    file.seek(0)
    return file.read().decode("ascii", errors="replace")


def _lock(file: FileIO) -> None:
    """Lock the file for this process; raises `OSError` after closing it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise


def serving_file(database: str) -> Path:
    """Return the path of the file that goes with a database, by whichever link that is named."""
    return Path(f"{os.path.realpath(database)}.serving")


def require_not_lost(database: str) -> None:
    """Raise ConflictError if the file of a database that had users is missing or empty."""
    file, beside = Path(os.path.realpath(database)), serving_file(database)
    if file.exists() and file.stat().st_size:
        return
    with suppress(OSError):
        if had_users(beside.read_text("ascii", errors="replace")):
            raise ConflictError(
                f"the database {file} is missing or empty, and it had users when it was served last; put it back, "
                f"or remove {beside} to begin with an empty one"
            )


def note_users(database: str) -> None:
    """Store on the disk that the database had users; raises `OSError` if that fails."""
    path = serving_file(database)
    is_new = not path.exists()
    create_private_file(path)
    # A line at the end, in one write: the serving process may write the first line at the same moment.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        if is_new:
            _give_to_owner_of(database, descriptor)
        if not had_users(os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")):
            os.write(descriptor, f"\n{_NOTE}\n".encode())
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def had_users(text: str) -> bool:
    """Return whether the content of the file says that there were users."""
    return any(line.get("had_users") is True for line in read_lines(text))


def read_lines(text: str) -> list[dict[str, Any]]:
    """Return the objects in the content of the file; a line that a power failure cut is left out."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def _give_to_owner_of(database: str, descriptor: int) -> None:
    """Let the user that serves open the file, also if another one (root) runs the command that creates it."""
    with suppress(OSError):
        status = Path(database).stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)
