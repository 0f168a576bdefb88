"""Two replicas behind PgBouncer in transaction mode, where each transaction may have another server connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.engine import URL

from tests.acceptance.campaign.databases import Database
from tests.acceptance.campaign.programs import SimulatedLiveKit, Usher
from tests.acceptance.cli_site import Terminal
from tests.conftest import missing
from tests.harness import pgbouncer
from tests.harness.polling import eventually
from tests.harness.ports import free_ports

CALLERS = 120


@pytest.fixture
def pooled(empty_postgres: URL, tmp_path: Path) -> Iterator[URL]:
    """The URL of the same database through PgBouncer."""
    if pgbouncer.PROGRAM is None:
        missing("pgbouncer")
    with pgbouncer.pgbouncer(empty_postgres, tmp_path) as url:
        yield url


def timeouts_of_all_server_connections(url: URL) -> list[object]:
    """Return the lock timeouts found by transactions that are open at the same time, one for each connection."""
    engine = create_engine(url, poolclass=NullPool)
    with ExitStack() as stack:
        clients = [stack.enter_context(engine.connect()) for _ in range(pgbouncer.SERVER_CONNECTIONS)]
        return [client.exec_driver_sql("SHOW lock_timeout").scalar() for client in clients]


def test_two_replicas_serve_through_a_transaction_pooler(empty_postgres: URL, pooled: URL, tmp_path: Path) -> None:
    url = pooled.render_as_string(hide_password=False)
    # Given a database that was migrated through the pooler, and a rule for everybody
    terminal = Terminal(tmp_path, {"DATABASE_URL": url})
    assert terminal.run("migrate", "up").code == 0
    assert terminal.run("migrate", "check").code == 0
    database = Database(empty_postgres.render_as_string(hide_password=False))
    database.add_rule("all", "agent", {"event": ["participant_joined"]}, scope="participant")
    livekit_port, *ports = free_ports(3)
    settings = {"DATABASE_URL": url, "USHER_SWEEP_INTERVAL": "1"}
    livekit = SimulatedLiveKit(port=livekit_port, directory=tmp_path, webhooks=(), tempo=1)
    ushers = [
        Usher(f"usher-{port}", port=port, directory=tmp_path, livekit_url=livekit.url, settings=settings)
        for port in ports
    ]
    try:
        livekit.start()
        for usher in ushers:
            usher.start()
        for usher in ushers:
            usher.await_ready()

        # When both replicas get every webhook, several at a time
        def post(number: int) -> tuple[int, str]:
            caller = number % CALLERS
            status, _, answer = ushers[number % 2].post_webhook(
                "participant_joined",
                f"EV_{caller}",
                room={"sid": f"RM_{caller}", "name": f"room-{caller}"},
                participant={"sid": f"PA_{caller}", "identity": f"caller-{caller}", "state": "ACTIVE"},
            )
            return status, answer.decode()

        with ThreadPoolExecutor(12) as pool:
            first = list(pool.map(post, range(CALLERS)))
            again = list(pool.map(post, range(CALLERS + 1, 2 * CALLERS + 1)))

        # Then each is stored once and answered 200, and each caller has one dispatch
        assert Counter(first) == {(200, '{"status":"accepted"}'): CALLERS}
        assert Counter(again) == {(200, '{"status":"duplicate"}'): CALLERS}
        assert database.rows("SELECT count(*) AS events FROM events WHERE source = 'webhook'") == [{"events": CALLERS}]
        rows = database.rows("SELECT room_name, count(*) AS dispatches FROM dispatches GROUP BY 1")
        assert Counter(row["dispatches"] for row in rows) == {1: CALLERS}
        eventually(
            lambda: not database.rows("SELECT 1 FROM dispatches WHERE status IN ('pending', 'sending')"),
            within=30,
            what="every dispatch is delivered",
        )
        # And the server connections keep no setting of ours
        assert timeouts_of_all_server_connections(pooled) == ["0"] * pgbouncer.SERVER_CONNECTIONS
        errors = [line for usher in ushers for line in usher.log_text().splitlines() if '"level": "error"' in line]
        assert errors == []
    finally:
        for program in (*ushers, livekit):
            program.stop()
