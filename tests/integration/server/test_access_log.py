"""What is recorded of logins and refusals, and who may read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from app.accounts.access_log import AccessEntry, append_access, prune_accesses
from app.accounts.roles import Role
from app.accounts.tokens import issue_token, revoke_token
from app.db.record_ids import lowest_id_at
from app.db.tables import access_log, api_tokens, sessions
from app.db.types import AccessKind
from app.flows.retention.prune import Pruner
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post


async def logins(running: Running, client: httpx2.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    """Return the log, oldest first, once everything is written."""
    await running.service.app.state.access.run_once(everything=True)
    answer = await client.get(f"/api/v1/logins?limit=1000{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items[::-1]


async def test_logins_failures_and_refusals_are_recorded(running: Running) -> None:
    await running.add_user("eva", Role.VIEWER)
    async with running.client(await running.token(name="maria")) as admin, running.client() as eva:
        eva.headers["User-Agent"] = "Browser/1"
        await log_in(eva, "eva", "wrong password")
        await log_in(eva, "my secret password by mistake", "eva")
        await log_in(eva, "eva")
        await eva.get("/console/users")
        await eva.post("/console/rules/new", data={"csrf": "forged"})
        await post(eva, "/console/account", "/console/logout")
        found = await logins(running, admin)
    recorded = [(each["kind"], each["user_name"], each["detail"], each["user_agent"]) for each in found]
    assert sorted(recorded) == [
        ("form_refused", "eva", "POST /console/rules/new", "Browser/1"),
        ("login", "eva", "", "Browser/1"),
        ("login_failed", "", "unknown name", "Browser/1"),
        ("login_failed", "eva", "wrong password", "Browser/1"),
        ("logout", "eva", "", "Browser/1"),
        ("role_refused", "eva", "GET /console/users", "Browser/1"),
    ]
    assert "mistake" not in str(await running.read("SELECT * FROM access_log"))
    assert {each["address"] for each in found} == {"127.0.0.1"}


async def test_refused_tokens_are_recorded_with_their_user(running: Running) -> None:
    secret = await running.token(Role.VIEWER, "ci")
    async with running.client(await running.token(name="maria")) as admin, running.client(secret) as ci:
        assert (await ci.get("/api/v1/users")).status_code == 403
        [row] = await running.read("SELECT id FROM api_tokens WHERE user_id = (SELECT id FROM users WHERE name = 'ci')")
        await running.write(lambda c: revoke_token(c, row["id"], by="maria", now=datetime.now(UTC)))
        assert (await ci.get("/api/v1/me")).status_code == 401
        async with running.client("usher_unknown") as stranger:
            assert (await stranger.get("/api/v1/me")).status_code == 401
            assert (await stranger.get("/api/v1/me")).status_code == 401
        found = await logins(running, admin)
    assert [(each["kind"], each["user_name"], each["detail"], each["count"]) for each in found] == [
        ("role_refused", "ci", "GET /api/v1/users with token 'test'", 1),
        ("token_refused", "ci", "GET /api/v1/me with token 'test'", 1),
        ("token_refused", "", "GET /api/v1/me", 2),
    ]
    assert "usher_unknown" not in str(found)


async def test_throttled_attempts_are_recorded(running: Running) -> None:
    await running.add_user("eva", Role.VIEWER)
    async with running.client(await running.token(name="maria")) as admin, running.client() as attacker:
        for _ in range(8):
            await log_in(attacker, "eva", "wrong password")
        found = await logins(running, admin)
        assert [(each["kind"], each["count"]) for each in found] == [("login_failed", 5), ("login_throttled", 3)]
        some = await logins(running, admin, "&kind=login_throttled&user=eva")
        assert [each["kind"] for each in some] == ["login_throttled"]
        assert await logins(running, admin, "&user=otto") == []


async def test_only_admins_read_the_log(running: Running) -> None:
    await running.add_user("eva", Role.EDITOR)
    await running.add_user("maria", Role.ADMIN)
    async with running.client(await running.token(Role.EDITOR, "ci")) as ci, running.client() as eva:
        assert (await ci.get("/api/v1/logins")).status_code == 403
        assert (await ci.get("/api/v1/sessions")).status_code == 403
        await log_in(eva, "eva")
        assert (await eva.get("/console/logins")).status_code == 403
    async with running.client() as maria:
        await log_in(maria, "maria")
        page = (await maria.get("/console/logins?kind=login&user=eva")).text
        assert page.count("<strong>login</strong>") == 1
        assert "Nothing recorded" in (await maria.get("/console/logins?kind=logout")).text


async def test_the_log_is_read_in_pages(running: Running) -> None:
    now = datetime.now(UTC)
    entries = [AccessEntry(AccessKind.LOGIN_FAILED, f"user {number}") for number in range(5)]
    await running.write(lambda c: append_access(c, entries, now))
    async with running.client(await running.token()) as admin:
        seen: list[str] = []
        query, cursors = "", []
        for _ in range(3):
            page = (await admin.get(f"/api/v1/logins?limit=2{query}")).json()
            seen += [each["user_name"] for each in page["items"]]
            cursors.append(page["next_cursor"])
            query = f"&cursor={cursors[-1]}"
        assert [cursor is None for cursor in cursors] == [False, False, True]
        for path in ("logins", "people/reads"):
            assert (await admin.get(f"/api/v1/{path}?cursor=zzz")).status_code == 422
    assert seen == [f"user {number}" for number in reversed(range(5))]


async def test_old_and_excess_rows_are_pruned(running: Running) -> None:
    now = datetime.now(UTC)
    entries = [AccessEntry(AccessKind.LOGIN_FAILED, f"user {number}") for number in range(10)]
    await running.write(lambda c: append_access(c, entries, now))
    assert await running.write(lambda c: prune_accesses(c, now - timedelta(days=1))) == 0
    assert await running.write(lambda c: prune_accesses(c, None)) == 0
    assert await running.write(lambda c: prune_accesses(c, None, max_rows=4)) == 6
    rows = await running.read("SELECT user_name FROM access_log ORDER BY id")
    assert [row["user_name"] for row in rows] == ["user 6", "user 7", "user 8", "user 9"]
    assert await running.write(lambda c: prune_accesses(c, now + timedelta(hours=1))) == 4


async def test_the_pruner_deletes_expired_sessions_and_old_rows(running: Running) -> None:
    await running.add_user("eva", Role.VIEWER)
    context = running.service.orchestrator.context
    entry = AccessEntry(AccessKind.LOGIN_FAILED, "eva")
    async with running.client() as old, running.client() as new:
        await log_in(old, "eva")
        long_ago = datetime.now(UTC) - timedelta(days=2)
        await running.write(lambda c: c.execute(update(sessions).values(last_seen_at=long_ago)))
        await log_in(new, "eva")
    before = await running.read("SELECT * FROM access_log")
    assert [row["kind"] for row in before] == ["login", "login"]
    assert await Pruner(context).run_once() == {"pruned": 0, "bodies": 0, "accesses": 0}
    assert len(await running.read("SELECT * FROM sessions")) == 1
    old_id = lowest_id_at(datetime.now(UTC) - timedelta(days=91))
    await running.write(lambda c: append_access(c, [entry], long_ago))
    await running.write(
        lambda c: c.execute(update(access_log).where(access_log.c.kind == "login_failed").values(id=old_id))
    )
    assert await Pruner(context).run_once() == {"pruned": 0, "bodies": 0, "accesses": 1}
    assert len(await running.read("SELECT * FROM access_log")) == 2


async def test_sessions_are_listed_and_ended_over_the_api(running: Running) -> None:
    await running.add_user("eva", Role.EDITOR)
    async with running.client(await running.token(name="maria")) as admin, running.client() as eva:
        await log_in(eva, "eva")
        [session] = (await admin.get("/api/v1/sessions")).json()["items"]
        assert session["user_name"] == "eva"
        assert "secret" not in str(session)
        assert (await admin.delete(f"/api/v1/sessions/{session['id']}")).status_code == 200
        assert (await admin.delete(f"/api/v1/sessions/{session['id']}")).status_code == 404
        assert (await eva.get("/console/rules")).status_code == 303
        [user] = [each for each in (await admin.get("/api/v1/users")).json()["items"] if each["name"] == "eva"]
        assert user["last_login_at"] is not None
        assert (await admin.delete(f"/api/v1/users/{user['id']}")).status_code == 200
        assert (await admin.delete(f"/api/v1/users/{user['id']}")).status_code == 404


@pytest.mark.parametrize(("sent", "days"), [({}, 90), ({"days": None}, None), ({"days": 7}, 7)])
async def test_tokens_expire_by_default(running: Running, sent: dict[str, Any], days: int | None) -> None:
    user = await running.add_user("ci", Role.EDITOR)
    async with running.client(await running.token(name="maria")) as admin:
        made = (await admin.post(f"/api/v1/users/{user.id}/tokens", json={"name": "ci", **sent})).json()
    if days is None:
        assert made["expires_at"] is None
    else:
        lasts = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
        assert lasts == timedelta(days=days)


async def test_an_expiry_that_is_near_is_warned_of(running: Running) -> None:
    user = await running.add_user("ci", Role.ADMIN)
    now = datetime.now(UTC)
    _, secret = await running.write(lambda c: issue_token(c, user.id, "ci", Role.ADMIN, by="test", now=now))
    async with running.client(secret) as ci:
        assert "usher-token-expires" not in (await ci.get("/api/v1/me")).headers
        soon = now + timedelta(days=13)
        await running.write(lambda c: c.execute(update(api_tokens).values(expires_at=soon)))
        answer = await ci.get("/api/v1/me")
        assert answer.headers["usher-token-expires"].startswith(str(soon.date()))
    async with running.client() as page:
        await running.add_user("maria", Role.ADMIN)
        await log_in(page, "maria")
        assert "expires soon" in (await page.get("/console/users")).text
