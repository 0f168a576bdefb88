"""Notices that a SQLite file was overwritten in place: what a number in its header says that nobody else has written.

The number is `user_version`. It is written anew every few seconds of work, to the log like everything else, and reaches
the file with the next checkpoint of any process. So the file shows the number of the latest checkpoint or one that
was written since. A copy made earlier, of this database or of another, shows an older number or a foreign one.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from app.clock import SystemClock, new_id
from app.db.engine.private_file import create_private_file

NEW_EVERY_S: Final = 10.0
"""A copy is taken for the database itself if no number was written between the copy and the next checkpoint."""
_clock = SystemClock()


class Stamps:
    """The numbers that the file may show; `remember` stores them for the next process.

    The threads that commit and that flush share it.
    """

    def __init__(self, path: str, remember: Callable[[Sequence[int]], None]) -> None:
        self._path = path
        self._remember = remember
        self._expected = [read_stamp(path)]
        self._written_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether the transaction that begins is to write a number."""
        return _clock.monotonic() - self._written_at >= NEW_EVERY_S

    def next(self) -> int | None:
        """Return the number to be written; None if it cannot be remembered."""
        stamp = int(new_id()[-6:], 32) | 1  # never 0, which is what a new file has
        with self._lock:
            try:
                self._remember([*self._expected, stamp])
            except OSError:
                return None  # without it, the next process would take the file for a foreign one
            self._expected.append(stamp)
        self._written_at = _clock.monotonic()
        return stamp

    def require_expected(self, *, is_shorter: bool) -> None:
        """Raise `OSError` unless the file shows one of the numbers, and if it `is_shorter` than before, is whole."""
        with self._lock:
            self._require_expected(is_shorter=is_shorter)

    def _require_expected(self, *, is_shorter: bool) -> None:
        try:
            stamp = read_stamp(self._path, is_whole=is_shorter)
        except sqlite3.Error as error:
            raise OSError(f"the file {Path(self._path).name} was overwritten or truncated; {_REMEDY}") from error
        if stamp not in self._expected:
            raise OSError(f"the file {Path(self._path).name} was overwritten by another program; {_REMEDY}")
        if older := self._expected.index(stamp):
            del self._expected[:older]
            with suppress(OSError):  # then the next process knows more numbers than it need
                self._remember(self._expected)


_REMEDY: Final = "restart Usher to use what is there now, or restore a backup"


def read_stamp(path: str, *, is_whole: bool = False) -> int:
    """Return the number in the file at `path`, without its log; raises `sqlite3.Error` if it is no database.

    With `is_whole` also if it has fewer pages than its header says. While a reader keeps SQLite from writing all of the
    log to the file, that is nothing wrong: pages that are free are not written, and only the end of a checkpoint that
    is complete gives the file its size.
    """
    # SQLite reads it, for closing a descriptor of the file here would drop the locks of its other connections.
    with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)) as connection:
        if not is_whole:
            connection.execute("PRAGMA writable_schema = ON")  # then SQLite does not compare the number of pages
        stamp: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return stamp


def set_log_aside(path: str) -> Path | None:
    """Move the log of the database at `path` away: SQLite would apply it to a file that it does not belong to.

    Returns where it is now; None if it was empty. No process may have it open.
    """
    log = Path(f"{path}-wal")
    if not log.exists() or not log.stat().st_size:
        return None
    aside = new_log_copy(path)
    log.replace(aside)
    Path(f"{path}-shm").unlink(missing_ok=True)
    return aside


def new_log_copy(path: str) -> Path:
    """Return a new, empty file beside the database at `path` for a log that is set aside."""
    number = 1
    while (aside := Path(f"{path}-wal.set-aside-{number}")).exists():
        number += 1
    create_private_file(aside)
    return aside
