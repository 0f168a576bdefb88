"""The file of a SQLite database that is open: whether it is still in its place, and its log on the disk."""

from __future__ import annotations

import os
from pathlib import Path

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class SqliteFile:
    """Knows which file the writer opened. `path` may be a symbolic link: SQLite keeps the log beside its target."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = Path(path).name
        self._real_path = ""
        self._identity: tuple[int, int] | None = None
        self._has_log = False

    def opened(self, *, has_log: bool) -> None:
        """Note that a connection has opened the file; `has_log`: its commits go to a log first."""
        self._has_log = has_log
        if self._identity is None:
            self._real_path = os.path.realpath(self._path)
            self._identity = _identity(self._real_path)

    def require_in_place(self) -> None:
        """Raise `OSError` if the path no longer leads to the file that was opened: a restart would lose its rows."""
        if self._identity is None:
            return
        try:
            identity = _identity(self._path)
        except FileNotFoundError as error:
            raise OSError(f"the file {self._name} was moved or removed; put it back, or restart Usher") from error
        if identity != self._identity:
            raise OSError(f"the file {self._name} was replaced by another; put it back, or restart Usher")

    def flush(self) -> None:
        """Return when every commit is on the disk; raises `OSError` if that fails, or the file is not in its place."""
        self.require_in_place()
        if not self._has_log:  # then COMMIT flushes
            return
        log = os.open(f"{self._real_path}-wal", os.O_RDONLY)
        try:
            _sync(log)
        finally:
            os.close(log)


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino
