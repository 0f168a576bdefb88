"""The files of a SQLite database: for their owner alone, as they hold callers' data and hashes of passwords."""

from __future__ import annotations

import errno
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


def read_only_folder(path: str | Path) -> Path | None:
    """Return the folder of the database at `path` if its file system takes no writes; None if it does."""
    real = os.path.realpath(path)
    folder = Path(real).parent
    with suppress(OSError):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return folder
    # The kernel may refuse writes after an error of the disk without saying so above. The log is opened, not the
    # database: closing that would drop the locks of SQLite.
    try:
        os.close(os.open(f"{real}-wal", os.O_WRONLY))
    except OSError as error:
        return folder if error.errno == errno.EROFS else None
    return None


def readable_by_others(path: str | Path) -> list[Path]:
    """Return which of the files of the database at `path` others than their owner may read or write."""
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm", ".serving")]
    return [file for file in files if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
