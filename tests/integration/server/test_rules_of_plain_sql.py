"""Rules that plain SQL wrote on SQLite, which takes JSON that neither a form nor PostgreSQL does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from sqlalchemy import delete

from app.accounts.roles import Role
from app.db.tables import routing_rules
from app.rules.book.read_book import book_at
from tests.conftest import Database
from tests.integration.server.conftest import Running, running_service
from tests.integration.server.test_console import log_in

PATTERN = '{"participant": {"identity": ["nobody"]}}'
RULES = [
    ("good", "{}", None),
    ("infinite pattern", '{"participant": {"metadata": {"n": [1e999]}}}', None),
    ("infinite metadata", PATTERN, '{"x": 1e999}'),
    ("half a pair", PATTERN, r'{"x": "\ud800v"}'),
    ("half a pair in the pattern", r'{"participant": {"identity": ["\ud800v"]}}', None),
    ("half a pair as a field", r'{"participant": {"\ud800": ["x"]}}', None),
    ("deep metadata", PATTERN, '{"a": ' * 600 + '"x"' + "}" * 600),
    ("deep list", PATTERN, "[" * 900 + "]" * 900),
    ("deep pattern", '{"a": ' * 900 + '["x"]' + "}" * 900, None),
    ("many digits", PATTERN, '{"x": ' + "9" * 6_000 + "}"),
    ("many digits in the pattern", '{"participant": {"metadata": {"n": [' + "9" * 6_000 + "]}}}", None),
]


@pytest.fixture
async def running(sqlite_database: Database) -> AsyncIterator[Running]:
    for name, pattern, metadata in RULES:
        sqlite_database.execute(
            "INSERT INTO routing_rules (name, pattern, agent_name, metadata) VALUES (:name, :pattern, 'a', :metadata)",
            name=name,
            pattern=pattern,
            metadata=metadata,
        )
    async with running_service(sqlite_database) as running:
        yield running


async def test_every_list_and_page_of_rules_is_shown(running: Running) -> None:
    rules = [row["id"] for row in await running.read("SELECT id FROM routing_rules")]
    async with running.client(await running.token()) as client:
        paths = ["rules", "rules/history", "rules/export", *(f"rules/{one}" for one in rules)]
        for path in paths:
            answer = await client.get(f"/api/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
        listed = {one["name"]: one for one in (await client.get("/api/v1/rules")).json()["items"]}
        assert listed["infinite metadata"]["metadata"] == {"x": "1e999"}
        assert listed["half a pair"]["metadata"] == {"x": "\ufffdv"}
        paths_of = {name: [one["path"] for one in listed[name]["problems"]] for name in listed}
        for name, column in (("deep metadata", "metadata"), ("deep list", "metadata"), ("deep pattern", "pattern")):
            found = paths_of.pop(name)
            assert found, name
            assert all(path.startswith(column) for path in found), name
        assert paths_of == {
            "good": [],
            "infinite pattern": ["pattern"],
            "infinite metadata": ["metadata.x"],
            "half a pair": [],
            "half a pair in the pattern": [],
            "half a pair as a field": [],
            "many digits": ["metadata"],
            "many digits in the pattern": ["pattern"],
        }
    await running.add_user("eva", Role.ADMIN)
    async with running.client() as browser:
        assert (await log_in(browser, "eva")).status_code == 303
        for path in ("", *(f"/{one}" for one in rules)):
            assert (await browser.get(f"/console/rules{path}")).status_code == 200, path


async def test_callers_of_other_rules_are_served_and_the_history_outlives_the_rules(running: Running) -> None:
    _, acceptance = await running.join("ana", "hall")
    assert acceptance.status == "accepted"
    assert [row["rule_name"] for row in await running.read("SELECT rule_name FROM dispatches")] == ["good"]
    await running.write(lambda connection: connection.execute(delete(routing_rules)))
    async with running.client(await running.token()) as client:
        answer = await client.get("/api/v1/rules/history?limit=200")
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["items"]) == 2 * len(RULES)
    # And the book of then names those that could not be used
    book = await running.write(lambda connection: book_at(connection, len(RULES)))
    assert len(book) + len(book.bad) == len(RULES)
    assert len(book.bad) == 7


async def test_numbers_of_many_digits_are_shown_on_postgresql(postgres_database: Database) -> None:
    metadata = '{"x": ' + "9" * 6_000 + "}"
    postgres_database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name, metadata) VALUES ('digits', '{}', 'a', :metadata)",
        metadata=metadata,
    )
    async with running_service(postgres_database) as running, running.client(await running.token()) as client:
        for path in ("rules", "rules/history", "rules/export", "rules/1"):
            answer = await client.get(f"/api/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
        [listed] = (await client.get("/api/v1/rules")).json()["items"]
        assert listed["metadata"] == {"x": "9" * 6_000}
        assert [one["path"] for one in listed["problems"]] == ["metadata"]


async def test_a_rule_whose_pattern_holds_no_number_of_json_is_named_as_unusable(running: Running) -> None:
    async with running.client(await running.token()) as client:
        answer: httpx2.Response = await client.get("/readyz")
        assert "infinite pattern" in answer.text


LATIN_1 = "CAST(x'45737061f161' AS TEXT)"  # "España" with a byte that is not UTF-8
INSERT = "INSERT INTO routing_rules (name, pattern, agent_name"
OTHER_BYTES = (
    *(
        f"{INSERT}, {column}) VALUES ('{column}', '{PATTERN}', 'a', {value})"
        for column, value in (
            ("description", LATIN_1),
            ("deployment", LATIN_1),
            ("rollout_key", LATIN_1),
            ("active_hours", LATIN_1),
            ("metadata", "CAST(x'22f122' AS TEXT)"),
            ("updated_by", LATIN_1),
            ("updated_by, description", "x'f1', 'a BLOB'"),
        )
    ),
    f"{INSERT}) VALUES ({LATIN_1}, '{PATTERN}', {LATIN_1})",
    f"{INSERT}) VALUES ('pattern', CAST(x'7b2261223a5b22f1225d7d' AS TEXT), 'a')",
    f"INSERT INTO agents (agent_name, note) VALUES ('noted', {LATIN_1})",
    "INSERT INTO agents (agent_name, updated_by) VALUES ('edited', x'f1')",
    f"INSERT INTO lookups (name, pattern, url) VALUES ('text', '{PATTERN}', {LATIN_1})",
    f"INSERT INTO lookups (name, pattern, url, updated_by) VALUES ('bytes', '{PATTERN}', 'https://x.test/', x'f1')",
    "UPDATE routing_rules SET priority = 200, updated_by = x'f1' WHERE name = 'good'",
)


async def test_bytes_that_are_not_utf8_cost_no_list_and_no_caller(sqlite_database: Database) -> None:
    sqlite_database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('good', '{}', 'a')")
    with sqlite_database.writer_engine().begin() as connection:
        for statement in OTHER_BYTES:
            connection.exec_driver_sql(statement)
    async with running_service(sqlite_database) as running, running.client(await running.token()) as client:
        await running.join("ana", "hall")
        assert [row["rule_name"] for row in await running.read("SELECT rule_name FROM dispatches")] == ["good"]
        for path in ("rules", "rules/history", "rules/export", "agents", "agents/history", "lookups", "health"):
            answer = await client.get(f"/api/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
        listed = {one["name"]: one for one in (await client.get("/api/v1/rules")).json()["items"]}
        assert listed["Espa\ufffda"]["agent_name"] == listed["description"]["description"] == "Espa\ufffda"
        changes = (await client.get("/api/v1/rules/history")).json()["items"]
        assert changes[0]["changed_by"] == "\ufffd"
        await running.add_user("eva", Role.ADMIN)
        async with running.client() as browser:
            await log_in(browser, "eva")
            for page in ("rules", "rules/1", "history", "agents", "agents/noted", "lookups"):
                assert (await browser.get(f"/console/{page}")).status_code == 200, page


@pytest.mark.parametrize("rule_id", [0, -1, -(2**63) + 1, 2**62])
async def test_a_rule_with_an_odd_id_can_be_opened_and_deleted(database: Database, rule_id: int) -> None:
    database.execute(
        """INSERT INTO routing_rules (id, name, pattern, agent_name) VALUES (:id, 'low', '{}', 'a')""", id=rule_id
    )
    async with running_service(database) as running:
        await running.add_user("eva", Role.ADMIN)
        async with running.client() as browser:
            assert (await log_in(browser, "eva")).status_code == 303
            assert "low" in (await browser.get(f"/console/rules/{rule_id}")).text
        async with running.client(await running.token()) as client:
            for path in ("", "/history", "/rollout"):
                answer = await client.get(f"/api/v1/rules/{rule_id}{path}")
                assert answer.status_code == 200, (path, answer.text)
            assert (await client.delete(f"/api/v1/rules/{rule_id}", headers={"If-Match": "*"})).status_code == 200
