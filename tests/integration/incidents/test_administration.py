"""Channels and subscriptions are administered over the API; their secrets are shown nowhere."""

from __future__ import annotations

import json
from typing import Any

from app.accounts.roles import Role
from app.incidents.messages.delivery import SendOutcome
from tests.conftest import Database
from tests.integration.incidents.incident_rows import a_token, ask
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

URL = "slack://token-aaaa/token-bbbb/token-cccc"
HOOK = "https://user:pass-word@crm.test/hook?key=query-secret"


@in_virtual_time
async def test_a_channel_is_added_tested_changed_and_deleted(database: Database) -> None:
    async with World(database) as world:
        token = await a_token(world)
        path = "/api/v1/notifications"
        added = await ask(world, token, "POST", path, {"name": "on call", "url": URL, "kinds": ["no_show"]}, expect=201)
        assert (added["target"], added["enabled"], added["kinds"]) == ("slack://…", True, ["no_show"])
        await ask(world, token, "POST", path, {"name": "on call", "url": URL}, expect=409)
        tested = await ask(world, token, "POST", f"{path}/on call/test")
        assert tested["delivered"]
        assert (world.receivers.notices[0].url, world.receivers.notices[0].title) == (URL, "Usher: test")
        world.receivers.failing[URL] = SendOutcome(delivered=False, text="the channel reports a failure")
        assert (await ask(world, token, "POST", f"{path}/on call/test"))["text"] == "the channel reports a failure"
        changed = await ask(world, token, "PATCH", f"{path}/on call", {"enabled": False, "kinds": None})
        assert (changed["enabled"], changed["kinds"]) == (False, None)
        listed = await ask(world, token, "GET", path)
        assert listed["items"] == [changed]
        await ask(world, token, "DELETE", f"{path}/on call")
        assert (await ask(world, token, "GET", path))["items"] == []
        await ask(world, token, "POST", f"{path}/on call/test", expect=404)


@in_virtual_time
async def test_a_subscription_shows_its_secret_once_and_its_deliveries_with_their_attempts(database: Database) -> None:
    async with World(database) as world:
        token = await a_token(world)
        path = "/api/v1/webhook-subscriptions"
        order = {"name": "crm", "url": HOOK, "events": ["incident.opened"]}
        made = await ask(world, token, "POST", path, order, expect=201)
        assert made["secret"].startswith("whsec_")
        subscription = made["subscription"]
        one = f"{path}/{subscription['id']}"
        assert (await ask(world, token, "POST", f"{one}/test"))["delivered"]
        assert world.receivers.posts[0].type == "test"
        world.receivers.failing[HOOK] = SendOutcome(delivered=False, text="HTTP 410", status=410, is_gone=True)
        world.rule(name="odd", pattern={"room": "not a list"})
        await world.until(
            lambda: world.rows("SELECT * FROM webhook_subscriptions WHERE paused_at IS NOT NULL"), within=30
        )
        (delivery,) = (await ask(world, token, "GET", f"{one}/deliveries"))["items"]
        assert (delivery["status"], delivery["attempts"], delivery["log"][0]["status"]) == ("failed", 1, 410)
        # Resumed and sent again, it arrives under the same id
        world.receivers.failing.clear()
        assert (await ask(world, token, "POST", f"{one}/resume"))["paused_at"] is None
        await ask(world, token, "POST", f"/api/v1/webhook-deliveries/{delivery['id']}/resend")
        await world.until(lambda: len(world.receivers.posts) == 2, within=30)
        assert world.receivers.posts[1].headers["webhook-id"] == delivery["id"]
        (line,) = world.rows("SELECT * FROM audit_log WHERE entity = 'webhook_delivery'")
        assert (line["entity_id"], line["from_state"], line["to_state"]) == (delivery["id"], "failed", "pending")
        assert (line["reason"], line["changed_by"]) == ("webhook incident.opened is sent again", "a admin")
        (again,) = (await ask(world, token, "GET", f"{one}/deliveries"))["items"]
        assert (again["status"], again["attempts"], len(again["log"])) == ("delivered", 1, 2)
        listed = await ask(world, token, "GET", path)
        for secret in ("pass-word", "query-secret", made["secret"]):
            assert secret not in json.dumps(listed)
        assert (await ask(world, token, "PATCH", one, {"events": None, "enabled": False}))["events"] is None
        # A secret that was written by SQL, and cannot sign, is what the test finds
        database.execute("UPDATE webhook_subscriptions SET secret = 'whsec_short'")
        tested = await ask(world, token, "POST", f"{one}/test")
        assert (tested["delivered"], "secret: is not base64" in tested["text"]) == (False, True)
        await ask(world, token, "DELETE", one)
        assert world.rows("SELECT * FROM webhook_deliveries") == []


@in_virtual_time
async def test_wrong_orders_are_refused_without_their_secrets_and_for_admins_only(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        admin, editor = await a_token(world), await a_token(world, Role.EDITOR)
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("notifications", {"name": "x", "url": "no-url-but-a-secret"}),
            ("notifications", {"name": "x", "url": "slack://secret", "kinds": ["odd"]}),
            ("notifications", {"name": "x", "url": "slack://secret", "quiet_hours": "never"}),
            ("notifications", {"name": "x", "url": "slack://secret", "timezone": "Mars"}),
            ("webhook-subscriptions", {"name": "x", "url": "ftp://a-secret"}),
            ("webhook-subscriptions", {"name": "x", "url": "https://a-secret.test", "events": ["call.odd"]}),
            ("webhook-subscriptions", {"name": "", "url": "https://a-secret.test"}),
        ]
        for what, order in wrong:
            answer = await ask(world, admin, "POST", f"/api/v1/{what}", order, expect=422)
            assert "secret" not in json.dumps(answer)
            await ask(world, editor, "POST", f"/api/v1/{what}", order, expect=403)
        for what in ("notifications", "webhook-subscriptions"):
            await ask(world, editor, "GET", f"/api/v1/{what}", expect=403)
        await ask(world, admin, "POST", "/api/v1/webhook-deliveries/unknown/resend", expect=404)
