"""A PgBouncer in transaction mode before the PostgreSQL of a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from tests.harness.ports import LOOPBACK, accepts_connections, free_ports
from tests.harness.process import Process

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
SERVER_CONNECTIONS = 3
"""Fewer than the clients, so that their transactions take turns on the same server connections."""


@contextmanager
def pgbouncer(server: URL, directory: Path) -> Iterator[URL]:
    """Run it with its defaults but for the mode; yield the URL of the same database through it."""
    assert PROGRAM is not None
    socket_folder = Path(str(server.query["host"]))
    (port,) = free_ports(1)
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={socket_folder} user={server.username}\n"
        f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\n"
    )
    command = [PROGRAM, str(configuration)]
    if os.geteuid() == 0:  # which it refuses to run as
        command += ["--user", socket_folder.owner()]
    process = Process("pgbouncer", command, directory=directory)
    process.start()
    try:
        process.wait_until(lambda: accepts_connections(port), within=20, what="it listens")
        yield make_url(f"postgresql+psycopg://{server.username}@{LOOPBACK}:{port}/{server.database}")
    finally:
        process.stop()
