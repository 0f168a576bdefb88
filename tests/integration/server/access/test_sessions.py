"""Sessions of the console: how they begin, end and are listed, and when the password is asked for again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import update

from app.accounts.links import password_code
from app.accounts.roles import Role
from app.accounts.users import find_user, set_password, set_role
from app.db.tables import sessions
from tests.conftest import PASSWORD
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEW_PASSWORD = "another long phrase"


@pytest.fixture
async def eva(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        assert (await log_in(client, "eva")).status_code == 303
        yield client


async def is_logged_in(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/console/rules")).status_code == 200


async def move_back(running: Running, span: timedelta, *columns: str) -> None:
    """Let all sessions be older by `span`, in these columns."""
    [row, *_] = await running.read("SELECT * FROM sessions")
    shifted = {name: datetime.now(UTC) - span for name in columns}
    assert row["id"]
    await running.write(lambda c: c.execute(update(sessions).values(shifted)))


async def test_a_copied_cookie_is_worth_nothing_after_the_log_out(running: Running, eva: httpx2.AsyncClient) -> None:
    copied = eva.cookies.get("usher_session")
    async with running.client() as thief:
        thief.cookies.set("usher_session", str(copied))
        assert await is_logged_in(thief)
        assert (await post(eva, "/console/account", "/console/logout")).status_code == 303
        assert not await is_logged_in(eva)
        assert not await is_logged_in(thief)
    assert await running.read("SELECT * FROM sessions") == []


async def test_a_login_in_place_of_another_ends_the_session_that_its_browser_leaves(
    running: Running, eva: httpx2.AsyncClient
) -> None:
    left = str(eva.cookies.get("usher_session"))
    await running.add_user("otto", Role.VIEWER)
    form = {"name": "otto", "password": PASSWORD}
    assert (await post(eva, "/console/account", "/console/login", **form)).status_code == 303
    assert await is_logged_in(eva)
    async with running.client() as thief:
        thief.cookies.set("usher_session", left)
        assert not await is_logged_in(thief)
    [row] = await running.read("SELECT users.name FROM sessions JOIN users ON users.id = sessions.user_id")
    assert row["name"] == "otto"


async def test_the_cookie_is_not_in_the_database(running: Running, eva: httpx2.AsyncClient) -> None:
    cookie = str(eva.cookies.get("usher_session"))
    [row] = await running.read("SELECT * FROM sessions")
    assert cookie.removeprefix("s.") not in str(row)


@pytest.mark.parametrize("other", ["password", "role"])
async def test_a_new_password_and_a_new_role_end_sessions(
    running: Running, eva: httpx2.AsyncClient, other: str
) -> None:
    user = await running.write(lambda c: find_user(c, "eva"))
    assert user is not None
    now = datetime.now(UTC)
    if other == "password":
        await running.write(lambda c: set_password(c, user.id, "hash", by="maria", now=now))
    else:
        await running.write(lambda c: set_role(c, user.id, Role.VIEWER, by="maria", now=now))
    assert not await is_logged_in(eva)


async def test_changing_ones_own_password_ends_the_others_only(running: Running, eva: httpx2.AsyncClient) -> None:
    async with running.client() as laptop:
        await log_in(laptop, "eva")
        form = {"old": PASSWORD, "password": NEW_PASSWORD, "repeated": NEW_PASSWORD}
        assert (await post(eva, "/console/account", "/console/account/password", **form)).status_code == 303
        assert await is_logged_in(eva)
        assert not await is_logged_in(laptop)
        assert (await log_in(laptop, "eva")).status_code == 401
        assert (await log_in(laptop, "eva", NEW_PASSWORD)).status_code == 303


async def test_a_refused_password_is_explained_by_its_labels(eva: httpx2.AsyncClient) -> None:
    form = {"old": "wrong", "password": NEW_PASSWORD, "repeated": "other"}
    refused = await post(eva, "/console/account", "/console/account/password", **form)
    assert refused.status_code == 422
    assert '<li data-field="">the current password is not right</li>' in refused.text
    assert "<code>password</code> must be the same in both fields" in refused.text


@pytest.mark.parametrize(
    ("column", "span", "lasts"),
    [
        ("last_seen_at", timedelta(hours=11), True),
        ("last_seen_at", timedelta(hours=12, minutes=1), False),
        ("expires_at", timedelta(seconds=-60), True),
        ("expires_at", timedelta(seconds=1), False),
    ],
)
async def test_a_session_ends_unused_and_in_any_case(
    running: Running, eva: httpx2.AsyncClient, column: str, span: timedelta, lasts: bool
) -> None:
    await move_back(running, span, column)
    assert await is_logged_in(eva) is lasts


async def test_use_prolongs_a_session_and_refreshing_pages_do_not(running: Running, eva: httpx2.AsyncClient) -> None:
    await move_back(running, timedelta(hours=11), "last_seen_at")
    [before] = await running.read("SELECT last_seen_at FROM sessions")
    assert (await eva.get("/console/now", headers={"X-Fragment": "1"})).status_code == 200
    assert await running.read("SELECT last_seen_at FROM sessions") == [before]
    assert await is_logged_in(eva)
    assert await running.read("SELECT last_seen_at FROM sessions") != [before]


async def test_a_form_of_an_ended_session_leads_to_the_login(running: Running, eva: httpx2.AsyncClient) -> None:
    await move_back(running, timedelta(days=1), "last_seen_at")
    answer = await eva.post("/console/rules/new", data={"csrf": "0" * 64, "name": "x"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/login?next=/console/&ended=1"
    assert "Your session has ended" in (await eva.get(answer.headers["location"])).text
    assert await running.read("SELECT * FROM routing_rules") == []


async def test_sessions_are_listed_and_ended_one_by_one(running: Running, eva: httpx2.AsyncClient) -> None:
    async with running.client() as laptop, running.client() as phone:
        for client in (laptop, phone):
            client.headers["User-Agent"] = FIREFOX
            await log_in(client, "eva")
        page = (await eva.get("/console/account")).text
        assert page.count("Firefox on Linux</strong>") == 2
        assert page.count("this one") == 1
        ended = re.findall(r"/console/account/sessions/([\w-]+)/end", page)
        assert len(ended) == 3
        [row] = await running.read("SELECT max(id) AS id FROM sessions")
        done = await post(eva, "/console/account", f"/console/account/sessions/{row['id']}/end")
        assert done.status_code == 303
        assert [await is_logged_in(client) for client in (eva, laptop, phone)] == [True, True, False]
        await post(laptop, "/console/account", "/console/account/logout")
        assert [await is_logged_in(client) for client in (eva, laptop, phone)] == [False, True, False]


async def test_only_an_admin_ends_the_sessions_of_others(running: Running, eva: httpx2.AsyncClient) -> None:
    await running.add_user("maria", Role.ADMIN)
    [session] = await running.read("SELECT id, user_id FROM sessions")
    async with running.client() as maria:
        await log_in(maria, "maria")
        [own] = await running.read("SELECT id FROM sessions WHERE user_id <> (SELECT id FROM users WHERE name = 'eva')")
        assert (await post(eva, "/console/account", f"/console/account/sessions/{own['id']}/end")).status_code == 404
        page = f"/console/users/{session['user_id']}/sessions"
        assert "Sessions of eva" in (await maria.get(page)).text
        assert (await eva.get(page)).status_code == 403
        assert (await post(maria, page, f"{page}/{session['id']}/end")).status_code == 303
        assert not await is_logged_in(eva)
        assert await is_logged_in(maria)


async def test_the_password_is_asked_for_again_before_tokens_and_admins(running: Running) -> None:
    await running.add_user("maria", Role.ADMIN)
    otto = await running.add_user("otto", Role.VIEWER)
    async with running.client() as maria:
        await log_in(maria, "maria")
        forms = [
            ("/console/account/tokens", {"token_name": "ci <b>", "role": "viewer"}),
            (f"/console/users/{otto.id}/tokens", {"token_name": "ci", "role": "viewer"}),
            ("/console/users", {"name": "new", "role": "admin"}),
            (f"/console/users/{otto.id}/role", {"role": "admin"}),
            (f"/console/users/{otto.id}/link", {}),
            (f"/console/users/{otto.id}/delete", {}),
        ]
        await move_back(running, timedelta(minutes=11), "password_checked_at")
        for path, fields in forms:
            asked = await post(maria, "/console/users", path, **fields)
            assert asked.status_code == 403, path
            assert "Confirm your password" in asked.text
            assert f'action="{path}"' in asked.text
        assert await running.read("SELECT * FROM api_tokens") == []
        assert len(await running.read("SELECT * FROM users")) == 2
        # What was to be done is done once the password is right
        path, fields = forms[0]
        asked = await post(maria, "/console/users", path, **fields)
        assert 'name="token_name" value="ci &lt;b&gt;"' in asked.text
        wrong = await post(maria, "/console/users", path, **fields, confirm_password="wrong")
        assert (wrong.status_code, "not your password" in wrong.text) == (403, True)
        done = await post(maria, "/console/users", path, **fields, confirm_password=PASSWORD)
        assert (done.status_code, "shown only once" in done.text) == (200, True)
        # And not asked for again soon
        assert "link" in (await post(maria, "/console/users", f"/console/users/{otto.id}/link")).text
        tokens = await running.read("SELECT name FROM api_tokens")
        assert [token["name"] for token in tokens] == ["ci <b>"]


async def test_guessing_the_password_of_a_stolen_session_is_limited(running: Running) -> None:
    await running.add_user("maria", Role.ADMIN)
    async with running.client() as maria:
        await log_in(maria, "maria")
        await move_back(running, timedelta(minutes=11), "password_checked_at")
        form = {"token_name": "ci", "role": "viewer", "confirm_password": "wrong"}
        path = "/console/account/tokens"
        answers = await asyncio.gather(*(post(maria, "/console/account", path, **form) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [403] * 10 + [429] * 2


async def test_a_role_change_leaves_an_unused_invitation_valid(running: Running) -> None:
    otto = await running.add_user("otto", Role.VIEWER)
    code = password_code(running.service.key, otto, datetime.now(UTC))
    await running.write(lambda c: set_role(c, otto.id, Role.EDITOR, by="maria", now=datetime.now(UTC)))
    async with running.client() as client:
        assert (await client.get(f"/console/password/{code}")).status_code == 200


async def test_cookies_by_tls_are_of_this_host_alone(running: Running) -> None:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        client.base_url = httpx2.URL("https://usher.test")
        answer = await log_in(client, "eva")
        cookies = answer.headers.get_list("set-cookie")
        assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-usher_session", "__Host-usher_device"]
        for cookie in cookies:
            parts = {part.strip().casefold() for part in cookie.split(";")[1:]}
            assert {"path=/", "secure", "httponly", "samesite=lax"} <= parts
            assert not any(part.startswith("domain") for part in parts)
        assert await is_logged_in(client)
        assert "max-age" in answer.headers["strict-transport-security"]
    async with running.client() as other:
        other.base_url = httpx2.URL("https://usher.test")
        other.cookies.set("usher_session", str(client.cookies.get("__Host-usher_session")))
        assert not await is_logged_in(other), "a cookie that a neighbouring host could have set"


async def test_pages_are_not_kept_by_browsers(eva: httpx2.AsyncClient) -> None:
    for path in ("/console/", "/console/account", "/console/rules"):
        assert (await eva.get(path)).headers["cache-control"] == "no-store"


async def test_the_owner_gets_in_whatever_others_try(running: Running, eva: httpx2.AsyncClient) -> None:
    await post(eva, "/console/account", "/console/logout")
    async with running.client() as attacker:  # from the same address
        statuses = [(await log_in(attacker, "eva", "wrong password")).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        await asyncio.gather(*(log_in(attacker, f"user {index}", "wrong password") for index in range(30)))
        assert (await log_in(attacker, "otto", "wrong password")).status_code == 429
    assert (await log_in(eva, "eva")).status_code == 303, "with a browser in which eva has logged in before"


async def test_a_deleted_user_is_gone_with_sessions_and_tokens(running: Running, eva: httpx2.AsyncClient) -> None:
    await running.add_user("maria", Role.ADMIN)
    token = await running.token(Role.EDITOR, "otto")
    async with running.client() as maria, running.client(token) as api:
        await log_in(maria, "maria")
        for name in ("eva", "otto"):
            [row] = await running.read(f"SELECT id FROM users WHERE name = '{name}'")
            assert (await post(maria, "/console/users", f"/console/users/{row['id']}/delete")).status_code == 303
        assert not await is_logged_in(eva)
        assert (await api.get("/api/v1/me")).status_code == 401
        [row] = await running.read("SELECT id FROM users")
        last = await post(maria, "/console/users", f"/console/users/{row['id']}/delete")
        assert (last.status_code, "only admin" in last.text) == (409, True)
    assert await running.read("SELECT * FROM api_tokens") == []
