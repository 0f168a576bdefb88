"""Files that only their owner may read: the database holds callers' data, hashes of passwords, and the signing key."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_MODE: Final = 0o600


def create_private_file(path: str | Path) -> None:
    """Create an empty file that only its owner may read, whatever the umask, unless there is a file already.

    SQLite gives its log and its shared memory the mode of the database. Raises `OSError` if it cannot be created.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))


def readable_by_others(path: str | Path) -> list[Path]:
    """Return which of the files of the database at `path` others than their owner may read or write."""
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm", ".serving")]
    return [file for file in files if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
