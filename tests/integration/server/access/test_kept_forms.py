"""What was typed under a session that has ended is kept, and sent after the next login of its user."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import httpx2
from sqlalchemy import update

from app.accounts.roles import Role
from app.db.tables import users
from tests.conftest import PASSWORD
from tests.integration.server.access.test_sessions import NEW_PASSWORD, eva, move_back
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import RULE, csrf_of, log_in

__all__ = ["eva"]

_TYPED: dict[str, str] = {**RULE, "name": 'a "new" <rule>', "why": "z" * 20_000}


async def test_what_was_typed_under_an_ended_session_is_sent_after_the_next_login(
    running: Running, eva: httpx2.AsyncClient
) -> None:
    # Given a form under a session that ends before it is sent
    token = csrf_of(await eva.get("/console/rules/new"))
    await move_back(running, timedelta(days=1), "last_seen_at")
    kept = await eva.post("/console/rules/new?start=all", data={**_TYPED, "csrf": token})
    # Then the page has all of it, and nothing is done yet, also when it is sent again too early
    assert kept.status_code == 401
    fields = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', kept.text))
    fields = {name: html.unescape(value) for name, value in fields.items()}
    assert fields == {**_TYPED, "csrf": token}
    assert 'action="/console/rules/new?start=all"' in kept.text
    assert (await eva.post("/console/rules/new", data=fields)).status_code == 401
    assert await running.read("SELECT * FROM routing_rules") == []
    # When the user logs in again, then it can be sent
    assert (await log_in(eva, "eva")).status_code == 303
    fields["why"] = "as typed"
    assert (await eva.post("/console/rules/new", data=fields)).status_code == 303
    [rule] = await running.read("SELECT name FROM routing_rules")
    assert rule["name"] == _TYPED["name"]


async def test_a_form_outlives_a_change_that_ends_all_sessions_of_its_user(
    running: Running, eva: httpx2.AsyncClient
) -> None:
    token = csrf_of(await eva.get("/console/rules/new"))
    await running.write(lambda c: c.execute(update(users).values(session_epoch=users.c.session_epoch + 1)))
    kept = await eva.post("/console/rules/new", data={**_TYPED, "csrf": token})
    assert (kept.status_code, "You are not logged in any more" in kept.text) == (401, True)
    assert (await log_in(eva, "eva")).status_code == 303
    assert (await eva.post("/console/rules/new", data={**_TYPED, "csrf": token})).status_code == 303


async def test_a_kept_form_is_of_its_user_and_holds_no_password(running: Running, eva: httpx2.AsyncClient) -> None:
    await running.add_user("otto", Role.EDITOR)
    token = csrf_of(await eva.get("/console/account"))
    await move_back(running, timedelta(days=1), "last_seen_at")
    passwords = {"old": PASSWORD, "password": NEW_PASSWORD, "repeated": NEW_PASSWORD, "csrf": token}
    assert (await eva.post("/console/account/password", data=passwords)).status_code == 303
    kept = await eva.post("/console/users", data={"name": "new", "confirm_password": PASSWORD, "csrf": token})
    assert kept.status_code == 401
    assert PASSWORD not in kept.text
    # When another user logs in in this browser, then they do not send it
    assert (await log_in(eva, "otto")).status_code == 303
    assert (await eva.post("/console/rules/new", data={**_TYPED, "csrf": token})).status_code == 403
    # And a browser without the cookie of the login gets nothing back
    async with running.client() as stranger:
        await stranger.get("/console/login")
        assert (
            RULE["agent_name"] not in (await stranger.post("/console/rules/new", data={**_TYPED, "csrf": token})).text
        )
    assert await running.read("SELECT * FROM routing_rules") == []


async def test_the_button_log_out_of_a_page_left_open_leads_to_the_login(
    running: Running, eva: httpx2.AsyncClient
) -> None:
    token = csrf_of(await eva.get("/console/account"))
    await move_back(running, timedelta(days=1), "last_seen_at")
    first = await eva.post("/console/logout", data={"csrf": token})
    assert (first.status_code, first.headers["location"]) == (303, "/console/login?next=/console/&ended=1")
    await eva.get("/console/login")
    again = await eva.post("/console/logout", data={"csrf": token})
    assert (again.status_code, again.headers["location"]) == (303, "/console/login?next=/console/")
