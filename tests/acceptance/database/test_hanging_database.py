"""A database that hangs: webhooks are answered 503 in time, readiness says why, and afterwards all goes on."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from tests.acceptance.campaign.databases import Database
from tests.acceptance.campaign.programs import SimulatedLiveKit, Usher, request
from tests.conftest import Database as MigratedDatabase
from tests.harness.network.black_hole import BlackHole
from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK, free_ports
from tests.harness.proc import children_of

ANSWERED_WITHIN_S = 50  # seconds here; without limits of Usher's own no answer would ever come
READY_AGAIN_WITHIN_S = 60


class Scene:
    """One Usher, a simulated LiveKit without webhooks of its own, and a rule for everybody."""

    def __init__(self, directory: Path, database_url: str, behind: str = "") -> None:
        livekit_port, port = free_ports(2)
        self.livekit = SimulatedLiveKit(port=livekit_port, directory=directory, webhooks=(), tempo=1)
        settings = {"DATABASE_URL": behind or database_url, "USHER_SWEEP_INTERVAL": "2"}
        self.usher = Usher("usher", port=port, directory=directory, livekit_url=self.livekit.url, settings=settings)
        self.database = Database(database_url)
        self.accepted: set[str] = set()
        self._numbers = itertools.count()

    def post(self) -> tuple[int, float, Mapping[str, str]]:
        """Post the webhook of a join; return status, seconds and headers of the answer."""
        number = next(self._numbers)
        began = time.monotonic()
        status, headers, _ = self.usher.post_webhook(
            "participant_joined",
            f"EV_{number}",
            room={"sid": f"RM_{number}", "name": f"room-{number}"},
            participant={"sid": f"PA_{number}", "identity": f"caller-{number}", "state": "ACTIVE"},
        )
        if status == 200:
            self.accepted.add(f"EV_{number}")
        return status, time.monotonic() - began, headers

    def readiness(self) -> tuple[int, Any]:
        status, _, body = request(self.usher.port, "GET", "/readyz")
        return status, json.loads(body)["database"]

    def judge_hang(self) -> None:
        """While the database hangs."""
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: self.post(), range(12)))
            questions = list(pool.map(lambda _: self.readiness(), range(12)))
        assert {status for status, _, _ in answers} == {503}
        assert max(seconds for _, seconds, _ in answers) < ANSWERED_WITHIN_S
        assert all(headers["retry-after"] == "1" for _, _, headers in answers)
        assert questions[-1][0] == 503, questions
        assert questions[-1][1]["status"] in {"unavailable", "unwritable"}

    def judge_recovery(self) -> None:
        eventually(lambda: self.post()[0] == 200, within=READY_AGAIN_WITHIN_S, what="a webhook is accepted")
        eventually(lambda: self.readiness()[0] == 200, within=READY_AGAIN_WITHIN_S, what="/readyz answers 200")
        stored = {row["livekit_id"] for row in self.database.rows("SELECT livekit_id FROM events")}
        assert self.accepted <= stored
        # Deliveries go on: callers that LiveKit does not list are given up, which takes a look at LiveKit
        eventually(
            lambda: not self.database.rows("SELECT 1 FROM dispatches WHERE status IN ('pending', 'sending')"),
            within=40,
            what="every dispatch is delivered or given up",
        )
        log = self.usher.log_text()
        assert "Traceback" not in log
        assert '"exception"' not in log


@contextmanager
def scene(directory: Path, database: MigratedDatabase, behind: str = "") -> Iterator[Scene]:
    scene = Scene(directory, database.text, behind)
    try:
        scene.livekit.start()
        scene.database.add_rule("all", "agent", {"event": ["participant_joined"]}, scope="participant")
        scene.usher.start()
        scene.usher.await_ready()
        assert scene.post()[0] == 200
        yield scene
    finally:
        scene.usher.stop()
        scene.livekit.stop()


def stop_server(database: MigratedDatabase) -> Iterator[int]:
    """Stop the processes of the server and give each: the one that listens, then those that serve connections."""
    (folder,) = (row["data_directory"] for row in Database(database.text).rows("SHOW data_directory"))
    server = int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])
    os.kill(server, signal.SIGSTOP)  # first: from then on it makes no more processes
    yield server
    for pid in children_of(server):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            yield pid


def test_a_server_that_is_stopped(postgres_database: MigratedDatabase, tmp_path: Path) -> None:
    with scene(tmp_path, postgres_database) as story:
        stopped: list[int] = []
        try:
            stopped.extend(stop_server(postgres_database))
            story.judge_hang()
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        story.judge_recovery()


def test_a_network_that_forwards_nothing(postgres_database: MigratedDatabase, tmp_path: Path) -> None:
    socket_folder = str(postgres_database.url.query["host"])
    with BlackHole(f"{socket_folder}/.s.PGSQL.5432") as between:
        through = URL.create(
            "postgresql+psycopg",
            postgres_database.url.username,
            host=LOOPBACK,
            port=between.port,
            database=postgres_database.url.database,
        )
        with scene(tmp_path, postgres_database, through.render_as_string(hide_password=False)) as story:
            between.forwards = False
            story.judge_hang()
            between.forwards = True
            story.judge_recovery()


def test_a_file_that_another_program_has_locked(sqlite_database: MigratedDatabase, tmp_path: Path) -> None:
    with scene(tmp_path, sqlite_database) as story:
        with story.database.locked():
            story.judge_hang()
            status, database = story.readiness()
            assert (status, database["status"]) == (503, "unwritable")
            assert "locked" in database["detail"]
        story.judge_recovery()


@pytest.mark.parametrize("table", ["events", "rule_changes"])
def test_a_table_that_another_session_has_locked(
    table: str, postgres_database: MigratedDatabase, tmp_path: Path
) -> None:
    engine = create_engine(postgres_database.url)
    with scene(tmp_path, postgres_database) as story:
        with engine.begin() as other:
            other.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            story.judge_hang()
        story.judge_recovery()
    engine.dispose()
