"""Lets one process at a time migrate a database: several pods start at once, and each may run `usher migrate up`."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from app.db.engine import is_embedded
from app.logs import get_logger

_log = get_logger(__name__)

_KEY: Final = 0x75736867  # "ushg"
_POLL_S: Final = 0.2


@contextmanager
def migration_lock(engine: Engine) -> Iterator[None]:
    """Wait until no other process migrates this database, and keep others waiting until the block ends."""
    with _directory_lock(engine) if is_embedded(engine.url) else _advisory_lock(engine):
        yield


@contextmanager
def _advisory_lock(engine: Engine) -> Iterator[None]:
    # A transaction of its own holds it, for each revision commits. It is polled: a transaction that waits would occupy
    # a server connection of a pooler that the process with the lock may need.
    is_first = True
    while True:
        with engine.connect() as connection:
            if connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_KEY})").scalar():
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield
                return
        if is_first:
            _log.info("another process migrates this database; waiting for it")
        is_first = False
        time.sleep(_POLL_S)


@contextmanager
def _directory_lock(engine: Engine) -> Iterator[None]:
    # On the directory: a file of its own would stay behind, and closing the database file drops SQLite's own locks.
    directory = Path(engine.url.database or "").resolve().parent
    descriptor = -1
    with suppress(OSError):  # a file system without locks, or no such directory, which SQLite reports
        descriptor = os.open(directory, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
