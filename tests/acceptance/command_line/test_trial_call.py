"""`usher call`: a test call says which agent joined, after how long, or why none did, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from tests.acceptance.cli_site import Answer, Terminal
from tests.conftest import Database
from tests.harness.serving import Serving, serving, until

RULE = """INSERT INTO routing_rules (name, pattern, agent_name, answer_timeout_s, max_attempts)
    VALUES ('{name}', '{{"participant": {{"metadata": {{"department": ["{name}"]}}}}}}', '{name}-agent', 1, 1)"""


async def call(running: Serving, database: Database, folder: Path, *options: str) -> Answer:
    environment = {
        "DATABASE_URL": database.text,
        "LIVEKIT_URL": running.simulator.url,
        "LIVEKIT_API_KEY": SIMULATOR_KEY,
        "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
        "USHER_HOST": "127.0.0.1",
        "USHER_PORT": running.url.rpartition(":")[2],
    }
    return await asyncio.to_thread(Terminal(folder, environment).run, "call", *options)


async def test_the_agent_that_joins_is_named_with_the_time_it_took(database: Database, tmp_path: Path) -> None:
    database.execute(RULE.format(name="support"))
    async with serving(database.text) as running:
        running.simulator.add_worker("support-agent")
        answer = await call(running, database, tmp_path, "--metadata", '{"department": "support"}')
        assert answer.code == 0, answer.out + answer.err
        assert answer.out.startswith("support-agent joined after ")
        assert answer.out.endswith(" ms (rule 'support')\n")
        # Then nothing is left at LiveKit, and the dispatch has ended
        await until(lambda: not running.simulator.rooms.by_name)
        await until(lambda: database.execute("SELECT status FROM dispatches")[0]["status"] == "ended")


async def test_an_agent_that_does_not_join_is_named_with_the_cause(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.execute(RULE.format(name="sales"))
    async with serving(sqlite_database.text) as running:
        answer = await call(running, sqlite_database, tmp_path, "--metadata", '{"department": "sales"}', "--json")
        document: dict[str, Any] = answer.json
        assert (answer.code, document["answered"]) == (1, False)
        (dispatch,) = document["dispatches"]
        assert (dispatch["agent_name"], dispatch["milliseconds_to_agent"]) == ("sales-agent", None)
        assert "is a worker registered under 'sales-agent', and below its load limit?" in dispatch["reason"]
        await until(lambda: not running.simulator.rooms.by_name)


async def test_an_agent_with_limits_cannot_be_tried_with_a_placeholder(
    sqlite_database: Database, tmp_path: Path
) -> None:
    sqlite_database.execute(RULE.format(name="sales"))
    sqlite_database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('sales-agent', 5)")
    async with serving(sqlite_database.text) as running:
        running.simulator.add_worker("sales-agent")
        answer = await call(running, sqlite_database, tmp_path, "--metadata", '{"department": "sales"}', "--json")
        (dispatch,) = answer.json["dispatches"]
        assert answer.code == 1
        assert "'sales-agent' was not asked: where there are limits" in dispatch["reason"]
        assert dispatch["reason"].endswith("try: usher probe sales-agent")


async def test_a_caller_that_no_rule_matches(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.execute(RULE.format(name="sales"))
    async with serving(sqlite_database.text) as running:
        answer = await call(running, sqlite_database, tmp_path, "--identity", "ana")
        assert answer.code == 1
        assert "no rule matches this caller" in answer.out
        assert "see: usher explain " in answer.err
        await until(lambda: not running.simulator.rooms.by_name)


async def test_a_room_with_people_in_it_is_left_alone(sqlite_database: Database, tmp_path: Path) -> None:
    async with serving(sqlite_database.text) as running:
        running.simulator.join("lobby", "ben")
        answer = await call(running, sqlite_database, tmp_path, "--room", "lobby")
        assert answer.code == 2
        assert "there is a room 'lobby' already" in answer.err
        assert "ben" in {one.identity for one in running.simulator.rooms.by_name["lobby"].connected()}
