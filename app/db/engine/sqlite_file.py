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
        self._log = _OpenFile()

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
        _sync(self._log.descriptor(f"{self._real_path}-wal"))

    def close(self) -> None:
        """Close the log; the next `flush` opens it again."""
        self._log.close()


class _OpenFile:
    """A file kept open, so that commits go on when the process has no file descriptors left."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None

    def descriptor(self, path: str) -> int:
        """Return a descriptor of the file that is at `path` now: SQLite may have made it anew."""
        identity = _identity(path)
        if identity != self._identity:
            self.close()
            self._descriptor = os.open(path, os.O_RDONLY)
            self._identity = identity
        return self._descriptor

    def close(self) -> None:
        """Close the file if it is open."""
        if self._identity is not None:
            os.close(self._descriptor)
            self._identity = None


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino
