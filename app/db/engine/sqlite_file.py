"""The files of a SQLite database that is open: whether they are still in their places, and the log on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.clock import SystemClock
from app.db.engine.sqlite_claim import note_users
from app.db.engine.sqlite_stamps import Stamps, new_log_copy

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
_LOG_BEGINS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"")  # it is empty after a checkpoint that truncates it

MAKE_ROOM_EVERY_S: Final = 1.0
"""A checkpoint for which there is no room writes what it can each time."""
_clock = SystemClock()


class LogMissingError(OSError):
    """The log is not at its path: what it holds is lost when this process is killed."""


class SqliteFile:
    """Knows which files the writer opened. `path` may be a symbolic link: SQLite keeps the log beside its target.

    What is written to a file that is not in its place, or is not read by the next process, would be lost by a restart.
    The threads that commit and that flush share it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._real_path = ""
        self._identity: tuple[int, int] | None = None
        self._sidecars: dict[str, tuple[int, int]] = {}
        self._log = _OpenFile()
        self._seen = (-1, -1)
        self.stamps: Stamps | None = None
        self._is_foreign = False
        self.has_users = False
        """Whether the last transaction of the writer saw users; not asked any more once that is noted."""
        self.has_noted_users = False
        self._made_room_at = float("-inf")

    def opened(self, *, has_log: bool) -> None:
        """Note that a connection has opened the file; `has_log`: its commits go to a log first."""
        if self._identity is None:
            self._real_path = os.path.realpath(self._path)
            self._identity = _identity(self._real_path)
        self._sidecars = {}
        if has_log:
            log, index = f"{self._real_path}-wal", f"{self._real_path}-shm"
            self._sidecars = {log: _identity(log), index: _identity(index)}
            self._log.descriptor(log, self._sidecars[log])

    def closed(self) -> None:
        """Note that the connection is closed: if it was the last, SQLite has removed the log."""
        self._sidecars = {}

    def watch_content(self, remember: Callable[[Sequence[int]], None]) -> None:
        """From now on also notice that the file was overwritten in place; see `Stamps`."""
        if self._sidecars:  # without a log each commit changes the file
            self.stamps = Stamps(self._real_path, remember)

    def note_users(self) -> None:
        """Store beside the database that it has users, once a commit has shown them; see `sqlite_claim.py`."""
        if self.has_users and not self.has_noted_users:
            with suppress(OSError):  # then the next commit tries again
                note_users(self._real_path)
                self.has_noted_users = True

    def note_users_again(self) -> None:
        """Store it anew where the note was moved together with the database."""
        if self.has_noted_users:
            with suppress(OSError):
                note_users(self._real_path)

    def room_for_log(self) -> int:
        """Return how many bytes the log may take: those that it has, and what is free on the disk."""
        try:
            disk, log = os.statvfs(self._real_path), os.stat(f"{self._real_path}-wal")  # noqa: PTH116 - beside statvfs
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize + log.st_size

    def may_make_room(self) -> bool:
        """Return whether the last attempt to make room on a full disk is long enough ago, and note this one."""
        now = _clock.monotonic()
        is_due = now - self._made_room_at >= MAKE_ROOM_EVERY_S
        if is_due:
            self._made_room_at = now
        return is_due

    def require_in_place(self) -> None:
        """Raise `OSError` if a path no longer leads to the file that was opened, or the database was overwritten."""
        if self._identity is None:
            return
        self._require_content(_require(self._path, self._identity))
        for path, identity in self._sidecars.items():
            try:
                _require(path, identity)
            except OSError as error:
                raise LogMissingError(str(error)) from error

    def _require_content(self, status: os.stat_result) -> None:
        seen = (status.st_size, status.st_mtime_ns)
        if self.stamps is None or seen == self._seen:
            return
        self._is_foreign = True
        # SQLite makes it shorter too, at the end of the checkpoint that follows a VACUUM; it is whole then.
        self.stamps.require_expected(is_shorter=seen[0] < self._seen[0])
        self._is_foreign, self._seen = False, seen

    def flush(self) -> None:
        """Return when every commit is on the disk; raises `OSError` if that fails, or a file is not in its place."""
        self.require_in_place()
        if not self._sidecars:  # then COMMIT flushes
            return
        path = f"{self._real_path}-wal"
        log = self._log.descriptor(path, self._sidecars[path])
        _sync(log)
        if os.pread(log, 4, 0) not in _LOG_BEGINS:
            raise OSError(f"the file {Path(self._path).name}-wal was overwritten or truncated; restart Usher")

    def close(self) -> None:
        """Close the log; the next `flush` opens it again."""
        self._log.close()

    def release(self) -> None:
        """Keep the log from being applied to a file that another program has put into the place of the database.

        SQLite would do so when the last connection is closed.
        """
        if self._is_foreign:
            self._log.set_aside(self._real_path)


class _OpenFile:
    """A file kept open, so that commits go on when the process has no file descriptors left."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None

    def descriptor(self, path: str, identity: tuple[int, int]) -> int:
        """Return a descriptor of the file at `path`, which has that identity now: SQLite may have made it anew."""
        if identity != self._identity:
            self.close()
            self._descriptor = os.open(path, os.O_RDWR)
            self._identity = identity
        return self._descriptor

    def set_aside(self, database: str) -> None:
        """Copy the file, which is the log of `database`, and empty it, also if it was removed meanwhile."""
        if self._identity is not None and os.fstat(self._descriptor).st_size:
            with new_log_copy(database).open("wb") as copy:
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                while part := os.read(self._descriptor, 1 << 20):
                    copy.write(part)
            os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Close the file if it is open."""
        if self._identity is not None:
            os.close(self._descriptor)
            self._identity = None


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - twice as fast, and called four times for each transaction
    return status.st_dev, status.st_ino


def _require(path: str, identity: tuple[int, int]) -> os.stat_result:
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast
    except FileNotFoundError as error:
        raise OSError(f"the file {Path(path).name} was moved or removed; put it back, or restart Usher") from error
    if (status.st_dev, status.st_ino) != identity:
        raise OSError(f"the file {Path(path).name} was replaced by another; put it back, or restart Usher")
    return status
