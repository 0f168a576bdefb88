"""API, `/readyz`, `/metrics` and the console show the same incidents."""

from __future__ import annotations

from app.accounts.roles import Role
from tests.conftest import Database
from tests.integration.incidents.incident_rows import a_token, ask, incidents, until_open
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

ELSEWHERE = {"room": {"name": ["elsewhere"]}}


@in_virtual_time
async def test_an_incident_is_listed_read_muted_and_unmuted_over_the_api(database: Database) -> None:
    async with World(database) as world:
        world.rule(pattern=ELSEWHERE)
        world.simulator.join("hall", "ana")
        row = await until_open(world, "no_rule")
        token = await a_token(world, Role.EDITOR)
        listed = await ask(world, token, "GET", "/api/v1/incidents?state=open&kind=no_rule")
        (found,) = listed["items"]
        assert (found["id"], found["count"], found["title"]) == (row["id"], 1, "1 caller matched no rule")
        assert found["detail"]["calls"] == [world.events(type="participant_joined")[0]["id"]]
        assert (await ask(world, token, "GET", "/api/v1/incidents?state=closed"))["items"] == []
        path = f"/api/v1/incidents/{row['id']}"
        assert await ask(world, token, "GET", path) == found
        # Muted, it is no longer counted by the metric, nor a banner
        assert world.usher.metric("usher_incidents", kind="no_rule") == 0  # nobody has asked for it yet
        assert 'usher_incidents{kind="no_rule"} 1.0' in await world.usher.get("/metrics")
        muted = await ask(world, token, "POST", f"{path}/mute", {"minutes": 60})
        assert muted["muted_until"] is not None
        assert 'usher_incidents{kind="no_rule"} 0.0' in await world.usher.get("/metrics")
        assert (await ask(world, token, "POST", f"{path}/unmute"))["muted_until"] is None
        assert 'usher_incidents{kind="no_rule"} 1.0' in await world.usher.get("/metrics")


@in_virtual_time
async def test_wrong_orders_are_refused(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(pattern=ELSEWHERE)
        world.simulator.join("hall", "ana")
        path = f"/api/v1/incidents/{(await until_open(world, 'no_rule'))['id']}/mute"
        editor, viewer = await a_token(world, Role.EDITOR), await a_token(world, Role.VIEWER)
        for wrong in (
            {},
            {"minutes": 0},
            {"minutes": 1, "until": "2030-01-01T00:00:00Z"},
            {"until": "2020-01-01T00:00:00Z"},
        ):
            await ask(world, editor, "POST", path, wrong, expect=422)
        await ask(world, editor, "POST", "/api/v1/incidents/unknown/mute", {"minutes": 1}, expect=404)
        await ask(world, viewer, "POST", path, {"minutes": 1}, expect=403)
        await ask(world, viewer, "GET", "/api/v1/incidents?cursor=nonsense", expect=422)
        sqlite_database.execute("UPDATE incidents SET closed_at = opened_at")
        await ask(world, editor, "POST", path, {"minutes": 1}, expect=409)


@in_virtual_time
async def test_a_wrong_key_is_shown_with_livekits_words_and_a_remedy(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5, settings={"LIVEKIT_API_KEY": "APIold"}) as world:
        await until_open(world, "livekit_refuses", within=60)
        ready = await world.usher.get("/readyz")
        assert ready["status"] == "ready"
        assert ready["livekit"]["default"]["status"] == "unknown_key"
        assert "HTTP 401: " in ready["livekit"]["default"]["text"]
        (incident,) = ready["incidents"]
        assert incident["title"].startswith("LiveKit refuses Usher's API key: HTTP 401: ")
        assert incident["remedy"] == "Set LIVEKIT_API_KEY to a key of this LiveKit server or project."
        token = await a_token(world)
        assert (await ask(world, token, "GET", "/api/v1/health"))["incidents"] == ready["incidents"]


@in_virtual_time
async def test_an_incident_that_opens_again_while_it_is_muted_is_muted(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(name="odd", pattern={"room": "not a list"})
        row = await until_open(world, "rule_broken")
        token = await a_token(world)
        await ask(world, token, "POST", f"/api/v1/incidents/{row['id']}/mute", {"minutes": 60})
        sqlite_database.execute("UPDATE routing_rules SET enabled = false")
        await world.until(lambda: incidents(world)[0]["closed_at"] is not None, within=15)
        sqlite_database.execute("UPDATE routing_rules SET enabled = true")
        await world.until(lambda: len(incidents(world)) == 2, within=15)
        assert incidents(world)[1]["muted_until"] == incidents(world)[0]["muted_until"]
