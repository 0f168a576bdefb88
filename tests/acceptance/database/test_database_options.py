"""Parameters of libpq in DATABASE_URL: every command and the service honour them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests.acceptance.campaign.databases import Database
from tests.acceptance.campaign.programs import Usher
from tests.acceptance.cli_site import Terminal
from tests.harness.ports import LOOPBACK, free_ports


def test_another_schema_by_options(empty_postgres: URL, tmp_path: Path) -> None:
    # Given a schema that only the options of the URL lead to
    Database(empty_postgres.render_as_string(hide_password=False)).change("CREATE SCHEMA calls")
    url = empty_postgres.update_query_dict({"options": "-c search_path=calls", "application_name": "usher-test"})
    text = url.render_as_string(hide_password=False)
    terminal = Terminal(tmp_path, {"DATABASE_URL": text})

    # When commands and the service use it
    up = terminal.run("migrate", "up")
    check = terminal.run("migrate", "check")
    Database(text).add_rule("all", "agent", {"event": ["participant_joined"]})
    rules = terminal.run("rules", "list", "--json")
    (port,) = free_ports(1)
    usher = Usher(
        "usher", port=port, directory=tmp_path, livekit_url=f"http://{LOOPBACK}:9", settings={"DATABASE_URL": text}
    )
    try:
        usher.start()
        usher.await_ready()
        status = usher.post_webhook("room_started", "EV_1", room={"sid": "RM_1", "name": "room"})[0]
        names = Database(text).rows(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
        )
    finally:
        usher.stop()

    # Then all of them find what the others wrote, and nothing is in the default schema
    assert [up.code, check.code, rules.code, status] == [0, 0, 0, 200]
    assert [rule["name"] for rule in json.loads(rules.out)] == ["all"]
    assert names == [{"application_name": "usher-test"}]
    tables = Database(text).rows(
        "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('events', 'alembic_version')"
    )
    assert tables == [{"schemaname": "calls"}]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://odd:topsecret@{host}/usher",
        "postgresql://odd:to/topsecret@{host}/usher",
        "postgresql://odd:to@topsecret@{host}/usher",
        "postgresql://{host}/usher?user=odd&password=topsecret",
        "postgresql://{host}/usher?user=odd&pasword=topsecret",
    ],
)
@pytest.mark.parametrize("command", [("migrate", "up"), ("migrate", "check"), ("rules", "list"), ("serve",)])
def test_no_password_in_an_error(url: str, command: tuple[str, ...], tmp_path: Path) -> None:
    host = f"{LOOPBACK}:{free_ports(1)[0]}"
    livekit = {"LIVEKIT_URL": f"http://{LOOPBACK}:9", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
    answer = Terminal(tmp_path, {"DATABASE_URL": url.format(host=host), **livekit}).run(*command)
    assert answer.code != 0
    assert answer.err.startswith("usher: ")
    assert "topsecret" not in answer.out + answer.err
