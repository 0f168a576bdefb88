"""A database that takes no writes: 503 with Retry-After, not ready, no traceback; well again without a restart."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from app.db import schema
from tests.acceptance.campaign.databases import Database
from tests.acceptance.cli_site import Terminal
from tests.acceptance.database.lone_usher import LoneUsher
from tests.conftest import Database as MigratedDatabase
from tests.harness.polling import eventually

WITHIN_S = 15


class Scene(LoneUsher):
    """Webhooks that are stored, and a database that takes no more of them."""

    def __init__(self, directory: Path, database_url: str) -> None:
        super().__init__(directory, database_url)
        self.accepted: set[str] = set()
        self._numbers = itertools.count()

    def post(self) -> tuple[int, Mapping[str, str]]:
        """Post a webhook with 20 kB of metadata."""
        event_id = f"EV_{next(self._numbers)}"
        room = {"sid": "RM_1", "name": "room", "metadata": "x" * 20_000}
        status, headers, _ = self.usher.post_webhook("room_started", event_id, room=room)
        if status == 200:
            self.accepted.add(event_id)
        return status, headers

    def judge(self, spoil: Callable[[], object], mend: Callable[[], object], reason: str) -> None:
        """Run the story: it works, is spoilt, says so, is mended, works."""
        assert self.post()[0] == 200

        # When the database takes no more writes
        spoil()

        # Then webhooks are refused so that LiveKit repeats them, and readiness says why
        statuses = [self.post() for _ in range(20)]
        refused = [headers for status, headers in statuses if status == 503]
        assert {status for status, _ in statuses} <= {200, 503}
        assert all(headers["retry-after"] == "1" for headers in refused)
        assert statuses[-1][0] == 503
        status, database = eventually(self.not_ready, within=WITHIN_S, what="/readyz answers 503")
        assert (status, database["status"]) == (503, "unwritable")
        assert reason in database["detail"]

        # And when it does again, nothing has to be restarted, and what was answered 200 is there
        mend()
        eventually(lambda: self.post()[0] == 200, within=WITHIN_S, what="a webhook is accepted")
        eventually(lambda: self.readiness()[0] == 200, within=WITHIN_S, what="/readyz answers 200")
        stored = {row["livekit_id"] for row in self.database.rows("SELECT livekit_id FROM events")}
        assert self.accepted <= stored
        log = self.usher.log_text()
        assert '"event": "not ready"' in log
        assert '"event": "ready again"' in log
        assert "Traceback" not in log
        assert '"exception"' not in log
        assert "topsecret" not in log

    def not_ready(self) -> tuple[int, Any] | None:
        status, database = self.readiness()
        return (status, database) if status == 503 else None


@contextmanager
def scene(directory: Path, database_url: str) -> Iterator[Scene]:
    scene = Scene(directory, database_url)
    try:
        scene.usher.start()
        scene.usher.await_ready()
        yield scene
    finally:
        scene.usher.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False, text=True
    )
    if mounted.returncode:  # also where CI is set: the next test has a limit that needs no permission
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    filler = small_disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:  # until there is no space left
                file.write(b"x" * 4096)

    with scene(tmp_path, f"sqlite:///{small_disk}/usher.db") as story:
        # Less than the log takes: it is used again
        story.judge(fill, lambda: os.truncate(filler, filler.stat().st_size - 300_000), "database or disk is full")


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    with scene(tmp_path, f"sqlite:///{tmp_path}/usher.db") as story:
        pid = story.usher.pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)

        def limit() -> None:
            size = (tmp_path / "usher.db-wal").stat().st_size
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, limits[1]))

        story.judge(limit, lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, limits), "disk I/O error")


def test_a_file_that_was_moved(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "usher.db", tmp_path / "elsewhere.db"
    with scene(tmp_path, f"sqlite:///{path}") as story:
        story.judge(lambda: path.rename(elsewhere), lambda: elsewhere.replace(path), "usher.db was moved")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_file_that_was_overwritten_in_place(tmp_path: Path, *, is_killed: bool) -> None:
    path, backup = tmp_path / "usher.db", tmp_path / "backup.db"
    schema.upgrade(make_url(f"sqlite:///{backup}"))
    with scene(tmp_path, f"sqlite:///{path}") as story:
        assert story.post()[0] == 200
        terminal = Terminal(tmp_path, {"DATABASE_URL": f"sqlite:///{path}"})
        assert terminal.run("users", "add", "ana", "--role", "admin").code == 0

        # When a backup is copied over the file while Usher has it open
        path.write_bytes(backup.read_bytes())

        # Then no webhook is answered 200 any more, and readiness names the file
        assert [story.post()[0] for _ in range(5)] == [503] * 5
        status, database = eventually(story.not_ready, within=WITHIN_S, what="/readyz answers 503")
        assert status == 503
        assert "usher.db was overwritten" in database["detail"]

        # And after a restart the backup is what is served, whole, and the log of the file before is kept beside it
        if is_killed:
            story.usher.kill()
        else:
            story.usher.stop()
        lines = story.usher.log_size()
        story.usher.start()
        story.usher.await_ready()
        assert story.database.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert story.database.rows("SELECT 1 FROM events") == []
        assert (tmp_path / "usher.db-wal.set-aside-1").stat().st_size > 0
        assert story.post()[0] == 200

        # And nobody is offered to become its first admin, for the file before had users
        assert "/console/welcome/" not in story.usher.log_text(since=lines)
        assert "Traceback" not in story.usher.log_text()


def test_a_database_that_had_users_and_is_missing_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "usher.db"
    terminal = Terminal(tmp_path, {"DATABASE_URL": f"sqlite:///{path}"})
    assert terminal.run("migrate", "up").code == 0
    assert terminal.run("users", "add", "ana", "--role", "admin").code == 0
    with scene(tmp_path, f"sqlite:///{path}") as story:
        story.usher.stop()
        path.rename(tmp_path / "elsewhere.db")
        lines = story.usher.log_size()
        story.usher.start()
        eventually(lambda: not story.usher.alive, within=WITHIN_S, what="it ends")
        assert story.usher.exit_status == 2
        said = story.usher.log_text(since=lines)
        assert "usher.db is missing or empty, and it had users" in said
        assert "/console/welcome/" not in said

        # And put back, it is served
        (tmp_path / "elsewhere.db").rename(path)
        story.usher.start()
        story.usher.await_ready()
        assert story.post()[0] == 200


def test_no_link_for_a_first_admin_is_made_for_a_database_whose_users_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "usher.db"
    terminal = Terminal(tmp_path, {"DATABASE_URL": f"sqlite:///{path}"})
    assert terminal.run("migrate", "up").code == 0
    assert terminal.run("users", "add", "ana", "--role", "admin").code == 0
    with scene(tmp_path, f"sqlite:///{path}") as story:
        story.usher.stop()
        story.database.change("DELETE FROM users")
        lines = story.usher.log_size()
        story.usher.start()
        story.usher.await_ready()
        said = story.usher.log_text(since=lines)
        assert "/console/welcome/" not in said
        assert "usher users add" in said


def test_a_server_that_has_become_read_only(postgres_database: MigratedDatabase, tmp_path: Path) -> None:
    name = postgres_database.url.database

    def let(setting: str, *, end_sessions: bool) -> None:
        # Statements of the server's own database, so that this session is not read-only itself
        server = Database(postgres_database.url.set(database="postgres").render_as_string(hide_password=False))
        server.change(f"ALTER DATABASE {name} {setting}")
        if end_sessions:  # as a failover does
            server.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=name)

    url = postgres_database.url.set(password="topsecret")  # the server trusts anybody
    with scene(tmp_path, url.render_as_string(hide_password=False)) as story:
        story.judge(
            lambda: let("SET default_transaction_read_only = on", end_sessions=True),
            lambda: let("RESET default_transaction_read_only", end_sessions=False),
            "read-only transaction",
        )
