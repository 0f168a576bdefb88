"""Rows that plain SQL has written badly are shown with the column and what to write; the good ones work on."""

from __future__ import annotations

from typing import Any

from prometheus_client import generate_latest

from app.cli.diagnosis.usher_checks import database_findings
from app.server.privacy.names import NamelessRegistry, Pseudonyms
from app.settings import read_settings
from tests.conftest import Database
from tests.integration.incidents.incident_rows import a_token, ask, document, incidents
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

OPS, HOOK = "slack://token-aaaa/token-bbbb/token-cccc", "https://erp.test/hook"
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def good_rows(database: Database) -> None:
    database.execute("INSERT INTO notifications (name, url) VALUES ('good', :url)", url=OPS)
    database.execute(
        "INSERT INTO webhook_subscriptions (id, name, url, secret, events)"
        f""" VALUES ('good', 'good', '{HOOK}', '{SECRET}', '["incident.opened"]')"""
    )


def bad_rows(database: Database) -> dict[str, str]:
    """Insert bad rows; return by the subject of their incident what its title says."""
    channel = "INSERT INTO notifications (name, url, kinds, quiet_hours, timezone) VALUES"
    program = "INSERT INTO webhook_subscriptions (id, name, url, secret, events) VALUES"
    database.execute(f"""{channel} ('kind', 'json://a.test', '["no_shw"]', NULL, 'UTC')""")
    database.execute(f"""{channel} ('shape', 'json://a.test', '"no_show"', NULL, 'UTC')""")
    database.execute(f"{channel} ('address', 'token-dddd', NULL, NULL, 'UTC')")
    database.execute(f"{channel} ('quiet', 'json://a.test', NULL, '25:00-99:00', 'UTC')")
    database.execute(f"{channel} ('zone', 'json://a.test', NULL, NULL, 'Mars/Olympus')")
    database.execute(f"""{program} ('1', 'event', '{HOOK}', '{SECRET}', '["call.answer"]')""")
    database.execute(f"""{program} ('2', 'link', 'ftp://erp.test', '{SECRET}', NULL)""")
    database.execute(f"""{program} ('3', 'key', '{HOOK}', 'whsec_?', NULL)""")
    database.execute("INSERT INTO agents (agent_name, substitute_agent_name) VALUES ('sales', ' other ')")
    database.execute("""INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', 'crm.test')""")
    found = {
        "notification kind": "kinds[0]: is no kind of incident",
        "notification shape": "kinds: must be a JSON list",
        "notification address": "url: must be an Apprise URL",
        "notification quiet": "quiet_hours: ",
        "notification zone": "timezone: ",
        "subscription event": "events[0]: is no event",
        "subscription link": "url: must be an http:// or https:// URL",
        "subscription key": "secret: must be whsec_",
        "agent sales": "substitute_agent_name: must have 1 to 256 printable characters",
        "lookup crm": "url is not valid",
    }
    if database.kind == "sqlite":
        database.execute(f"{channel} ('json', 'json://a.test', '[no_show', NULL, 'UTC')")
        database.execute(f"{program} ('4', 'json', '{HOOK}', '{SECRET}', '[call')")
        database.execute(f"{channel} (x'ff', 'json://a.test', NULL, NULL, x'fe')")
        database.execute(f"{program} ('5', 'bytes', x'ff', x'ff', NULL)")
        database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('half', 2.5)")
        database.execute("DROP TRIGGER agents_times_inserted")
        database.execute("INSERT INTO agents (agent_name, out_of_service_until) VALUES ('support', '2026-99-99')")
        found |= {
            "notification json": "kinds: must be a JSON list",
            "subscription json": "events: must be a JSON list",
            "notification \ufffd": "name: must be text",
            "subscription bytes": "url: must be text",
            "agent half": "max_calls: must be a whole number from 0 to",
            "agent support": "out_of_service_until: is no time; write one such as 2026-12-24T18:00:00Z",
        }
    return found


def opened(world: World) -> dict[str, Any]:
    return {row["subject"]: row for row in incidents(world, kind="rule_broken") if row["closed_at"] is None}


@in_virtual_time
async def test_each_bad_row_is_an_incident_that_names_its_column_and_ends_with_it(database: Database) -> None:
    good_rows(database)
    expected = bad_rows(database)
    async with World(database) as world:
        await world.until(lambda: opened(world).keys() == expected.keys(), within=30)
        token = await a_token(world)
        shown = (await ask(world, token, "GET", "/api/v1/incidents?state=open"))["items"]
        titles = {one["subject"]: one["title"] for one in shown}
        for subject, text in expected.items():
            assert f"has a value that cannot be used: {text}" in titles[subject]
            assert document(opened(world)[subject]["detail"])["table"] in next(
                one["remedy"] for one in shown if one["subject"] == subject
            )
        assert "token-dddd" not in str(shown)
        # The good ones are told of each
        await world.until(lambda: sum(one.url == OPS for one in world.receivers.notices) >= len(expected), within=120)
        await world.until(lambda: sum(one.url == HOOK for one in world.receivers.posts) >= len(expected), within=120)
        # Corrected, they are over
        for table in ("agents", "lookups", "notifications", "webhook_subscriptions"):
            database.execute(f"DELETE FROM {table}")
        await world.until(lambda: not opened(world), within=30)


@in_virtual_time
async def test_bad_rows_stand_in_lists_metrics_readiness_and_the_doctors_findings(database: Database) -> None:
    good_rows(database)
    expected = bad_rows(database)
    async with World(database) as world:
        token = await a_token(world)
        channels = {
            one["name"]: one["problems"] for one in (await ask(world, token, "GET", "/api/v1/notifications"))["items"]
        }
        assert channels.pop("good") == []
        # With what holds meanwhile
        meanwhile = {
            "kind": "it is notified of the other kinds",
            "shape": "it is notified of all kinds",
            "address": "nothing is sent to it",
            "quiet": "it is notified at any hour",
            "zone": "it is notified at any hour",
        }
        for name, effect in meanwhile.items():
            (problem,) = channels[name]
            assert problem.endswith(f"; until it is mended, {effect}")
        assert all(channels.values())
        programs = (await ask(world, token, "GET", "/api/v1/webhook-subscriptions"))["items"]
        assert {one["name"] for one in programs if not one["problems"]} == {"good"}
        agents = (await ask(world, token, "GET", "/api/v1/agents"))["items"]
        assert all(one["problems"] for one in agents)
        for agent in (one for one in agents if one["agent_name"] == "half"):
            assert agent["max_calls"] == 2
            assert agent["problems"][0].endswith("; until it is mended, 2 is used")
        bad = (await world.usher.get("/readyz"))["rows"]["bad"]
        names = {f"{one['table']} {one['name']}" for one in bad}
        assert "notifications kind" in names
        assert "agents sales" in names
        assert f'usher_bad_rows{{table="notifications"}} {len(channels)}.0' in await world.usher.get("/metrics")
        assert 'usher_bad_rows{table="lookups"} 1.0' in await world.usher.get("/metrics")
        # The name of a table is none that strangers must not see
        nameless = generate_latest(NamelessRegistry(world.usher.metrics.registry, Pseudonyms("a key")))
        assert b'usher_bad_rows{table="lookups"} 1.0' in nameless
        settings = read_settings({"DATABASE_URL": database.text}, without_livekit=True)
        found = "\n".join(f"{one.part} {one.found}" for one in database_findings(settings))
        for subject, text in expected.items():
            noun, _, name = subject.partition(" ")
            if noun != "lookup":
                assert f"{noun} '{name}': " in found
                assert text in found


@in_virtual_time
async def test_a_call_is_answered_whatever_stands_in_the_tables_of_messages(sqlite_database: Database) -> None:
    good_rows(sqlite_database)
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        bad_rows(sqlite_database)
        sqlite_database.execute("UPDATE webhook_subscriptions SET events = NULL WHERE id = 'good'")
        await world.wait(5)
        world.simulator.join("hall", "ana")
        await world.until(lambda: world.rows("SELECT 1 FROM dispatches WHERE status = 'joined'"), within=30)
        await world.until(lambda: any(one.type == "call.answered" for one in world.receivers.posts), within=30)
