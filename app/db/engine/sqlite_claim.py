"""The claim of one serving process on a SQLite database: the file `<database>.serving`, locked while it serves.

The file also holds what is needed once the database is gone or replaced: whether it had users, and which numbers its
header may show (`app/db/engine/sqlite_stamps.py`).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from app.db.engine.private_file import create_private_file, readable_by_others
from app.db.engine.sqlite_stamps import read_stamp, set_log_aside
from app.errors import ConflictError, DatabaseUnavailableError
from app.logs import get_logger

_log = get_logger(__name__)


class SqliteClaim:
    """Held from `claim_database` to `close`."""

    def __init__(self, file: IO[str], database: str) -> None:
        self._file = file
        self._database = database
        text = file.read()
        self._length = len(text)
        try:
            found = json.loads(text or "{}")
            self._stamps = [int(stamp) for stamp in found.get("stamps", ())]
            self.had_users = bool(found.get("had_users"))
        except (ValueError, TypeError, AttributeError):  # cut off by a power failure
            self._stamps, self.had_users = [], False

    def close(self) -> None:
        """Let another process serve the database."""
        self._file.close()

    def remember(self, stamps: Sequence[int], has_users: bool) -> None:
        """Store which numbers the file's header may show, and that there are users; `OSError` if the disk is full."""
        self._stamps = list(stamps)
        self.had_users = self.had_users or has_users
        self._write()

    def prepare(self) -> None:
        """Make the database ready to be opened; `ConflictError` if it had users and its file is missing or empty.

        A log that does not belong to the file is set aside: SQLite would apply it to a backup that was copied here.
        """
        file = Path(self._database)
        if not file.exists() or not file.stat().st_size:
            if self.had_users:
                raise ConflictError(
                    f"the database {file} is missing or empty, and it had users when it was served last; put it back, "
                    f"or remove {self._file.name} to begin with an empty one"
                )
            return
        if not self._stamps:
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
        text = json.dumps({"stamps": self._stamps, "had_users": self.had_users})
        self._length = max(self._length, len(text))
        self._file.seek(0)
        self._file.write(text.ljust(self._length))  # in one write, which a kill does not cut
        self._file.flush()
        os.fsync(self._file.fileno())


def claim_database(url: URL) -> SqliteClaim:
    """Hold the embedded database for this process: leases of any other are then known to be dead."""
    database = os.path.realpath(url.database or "")  # the same one by whichever link
    path = Path(f"{database}.serving")
    try:
        create_private_file(path)
        file = path.open("r+")
    except FileNotFoundError as error:
        message = f"cannot open the database {url.database}: there is no folder {path.parent} (see DATABASE_URL)"
        raise DatabaseUnavailableError(message) from error
    except OSError as error:
        message = f"cannot open {path}, the lock of the database: {error.strerror}; it must belong to the user that "
        raise ConflictError(message + "serves, as the database must (see DATABASE_URL)") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise ConflictError(f"cannot lock {path}: {error.strerror} (see DATABASE_URL)") from error
        raise ConflictError(
            f"another usher serve runs on {url.database}; a SQLite database serves one process, "
            "use PostgreSQL for several"
        ) from error
    return SqliteClaim(file, database)
