"""The console over HTTP: access, forms, and every page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import insert, update

from app.accounts.links import first_admin_code
from app.accounts.roles import Role
from app.db.record_ids import lowest_id_at
from app.db.rule_columns import COLUMN
from app.db.tables import events, probes
from app.rules.editing.edit_rule import create_rule
from tests.conftest import PASSWORD
from tests.integration.server.conftest import Running

RULE = {"name": "spanish", "priority": "10", "pattern": '{"participant": {"metadata": {"language": ["es"]}}}',
        "agent_name": "support-es", "metadata": "", "attributes": "", "enabled": "on", "scope": "room",
        "on_match": "stop", "rollout_percent": "100", "rollout_key": "participant.identity", "timezone": "UTC",
        "answer_timeout_s": "15", "max_attempts": "3", "min_stay_s": "3", "recover": "never"}  # fmt: skip


def csrf_of(page: httpx2.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found is not None, page.text[:2000]
    return found[1]


async def post(client: httpx2.AsyncClient, page: str, path: str, **fields: str) -> httpx2.Response:
    """Send a form as it stands on `page`."""
    token = csrf_of(await client.get(page))
    return await client.post(path, data={"csrf": token, **fields})


async def log_in(client: httpx2.AsyncClient, name: str, password: str = PASSWORD) -> httpx2.Response:
    return await post(client, "/console/login", "/console/login", name=name, password=password)


@pytest.fixture
async def editor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        assert (await log_in(client, "eva")).status_code == 303
        yield client


async def test_a_form_sent_before_login_has_at_most_16_kib(running: Running, editor: httpx2.AsyncClient) -> None:
    async with running.client() as stranger:
        statuses = [(await log_in(stranger, "x" * length)).status_code for length in (15_000, 17_000)]
        other = await stranger.post("/console/rules/new", data={"name": "x" * 17_000})
    assert statuses == [401, 413]
    assert other.status_code == 403  # not read
    assert (await post(editor, "/console/rules/new", "/console/rules/new", why="x" * 17_000)).status_code == 422


async def test_pages_need_a_login(running: Running) -> None:
    async with running.client() as client:
        for path in ("/console/", "/console/calls", "/console/rules", "/console/agents", "/console/users"):
            answer = await client.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/login?next=")


async def test_the_link_for_the_first_admin_works_once(running: Running) -> None:
    link = f"/console/welcome/{first_admin_code(running.service.key, datetime.now(UTC))}"
    form = {"name": "maria", "password": PASSWORD, "repeated": PASSWORD}
    async with running.client() as client:
        short = await post(client, link, link, **{**form, "password": "short", "repeated": "short"})
        assert short.status_code == 422
        made = await post(client, link, link, **form)
        assert made.status_code == 303
        assert (await client.get("/console/users")).status_code == 200
    async with running.client() as other:
        assert (await other.get(link)).status_code == 409
        assert (await other.get("/console/welcome/forged")).status_code == 404


async def test_wrong_passwords_are_refused_and_limited(running: Running) -> None:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        statuses = [(await log_in(client, "eva", "wrong password")).status_code for _ in range(6)]
        assert statuses == [401, 401, 401, 401, 401, 429]
        assert (await log_in(client, "eva")).status_code == 429
        assert (await client.get("/console/")).status_code == 303


async def test_a_form_without_the_csrf_token_of_the_session_is_refused(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    for fields in ({}, {"csrf": "0" * 64}):
        answer = await editor.post("/console/rules/new", data={**RULE, **fields})
        assert answer.status_code == 403
    async with running.client() as stranger:
        token = csrf_of(await stranger.get("/console/login"))
        assert (await editor.post("/console/rules/new", data={**RULE, "csrf": token})).status_code == 403
    assert await running.read("SELECT * FROM routing_rules") == []


async def test_a_form_of_a_browser_that_has_logged_out_in_another_tab_says_so(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    form = await editor.get("/console/rules/new")
    await post(editor, "/console/account", "/console/logout")
    assert (await editor.get("/console/login")).status_code == 200
    refused = await editor.post("/console/rules/new", data={**RULE, "csrf": "0" * 64})
    assert refused.status_code == 403
    assert "You are logged out, perhaps by another tab; nothing was saved." in refused.text
    kept = await editor.post("/console/rules/new", data={**RULE, "csrf": csrf_of(form)})
    assert kept.status_code == 401
    assert "or you have logged out in another tab. Nothing was saved yet" in kept.text
    assert await running.read("SELECT * FROM routing_rules") == []


async def test_a_form_of_a_browser_without_our_cookie_is_refused_before_it_is_read(running: Running) -> None:
    form = {"name": "x" * 20_000, "csrf": "0" * 64}
    async with running.client() as client:
        refused = await client.post("/console/login", data=form)
        assert refused.status_code == 403
        assert "reload the page" in refused.text
        assert refused.headers["content-security-policy"]
        assert (await client.post("/console/login", data=form)).status_code == 413  # with the cookie of that answer


async def test_cookies_are_restricted(running: Running) -> None:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        cookie = (await log_in(client, "eva")).headers["set-cookie"].casefold()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie
    async with running.client() as client:
        client.base_url = httpx2.URL("https://usher.test")
        assert "secure" in (await client.get("/console/login")).headers["set-cookie"].casefold()


async def test_a_disabled_user_is_logged_out_at_once(running: Running, editor: httpx2.AsyncClient) -> None:
    assert (await editor.get("/console/rules")).status_code == 200
    await running.add_user("maria", Role.ADMIN)
    async with running.client() as admin:
        await log_in(admin, "maria")
        [eva] = await running.read("SELECT id FROM users WHERE name = 'eva'")
        done = await post(admin, "/console/users", f"/console/users/{eva['id']}/disable")
        assert done.status_code == 303
        assert (await editor.get("/console/rules")).status_code == 303
        await post(admin, "/console/users", f"/console/users/{eva['id']}/enable")
        assert (await editor.get("/console/rules")).status_code == 303, "an old session must not revive"


async def test_roles(running: Running, editor: httpx2.AsyncClient) -> None:
    assert (await editor.get("/console/users")).status_code == 403
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as viewer:
        await log_in(viewer, "vera")
        assert (await viewer.get("/console/rules")).status_code == 200
        assert (await viewer.get("/console/rules/new")).status_code == 403
        refused = await post(viewer, "/console/account", "/console/rules/new", **RULE)
        assert refused.status_code == 403


async def test_the_form_of_a_rule_has_a_control_for_each_column(editor: httpx2.AsyncClient) -> None:
    page = (await editor.get("/console/rules/new")).text
    assert [name for name in COLUMN if page.count(f' name="{name}"') != 1] == []


async def test_pages_opened_at_once_in_several_tabs_are_all_checked(editor: httpx2.AsyncClient) -> None:
    token = csrf_of(await editor.get("/console/rules/new"))
    long = {"rules": "rules: []\n" + "#" * 17_000, "hours": "24"}  # its form is decoded by a worker, too
    tabs = [("/console/rules/check", RULE)] * 6 + [("/console/simulate", long)] * 2
    answers = await asyncio.gather(*(editor.post(path, data={"csrf": token, **form}) for path, form in tabs))
    assert [answer.status_code for answer in answers] == [200] * len(tabs)


async def test_a_rule_is_created_tested_and_edited(running: Running, editor: httpx2.AsyncClient) -> None:
    await running.join("ana", "hall", metadata={"language": "es"})
    bad = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, "pattern": '{"room": '})
    assert bad.status_code == 422
    assert "is not JSON" in bad.text
    tried = await post(editor, "/console/rules/new", "/console/rules/check", **RULE)
    assert "Matches 1 of the latest 1 events" in tried.text
    doubtful = {**RULE, "name": "", "pattern": '{"participant": {"metdata": {"language": ["es"]}}}'}
    warned = await post(editor, "/console/rules/new", "/console/rules/check", **doubtful)
    assert "Check this" in warned.text
    assert "Did you mean <code>participant.metadata</code>" in warned.text
    objective = {"objective_percent": "97,5", "objective_s": "x"}
    wrong = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, **objective})
    assert wrong.status_code == 422
    assert 'id="objective_s-problem"' in wrong.text
    assert 'id="objective_percent-problem"' not in wrong.text
    objective = {"objective_percent": "97,5", "objective_s": "3"}
    made = await post(editor, "/console/rules/new", "/console/rules/new", **RULE, **objective, why="Spain calls")
    assert made.status_code == 303
    shown = await editor.get("/console/rules/1")
    assert "97.5 % within 3 s" in shown.text
    assert "Last 24 hours" in shown.text
    path = made.headers["location"].partition("?")[0]
    [version] = re.findall(r'name="version" value="(\d+)"', (await editor.get(path)).text)
    await post(editor, path, path, **{**RULE, "priority": "5"}, version=version)
    late = await post(editor, path, path, **{**RULE, "priority": "6"}, version=version)
    assert late.status_code == 409
    assert "Someone else has edited this rule" in late.text
    [row] = await running.read("SELECT priority, updated_by FROM routing_rules")
    assert (row["priority"], row["updated_by"]) == (5, "eva")
    history = (await editor.get("/console/history")).text
    assert "Spain calls" in history
    gone = await post(editor, path, f"{path}/delete")
    assert gone.status_code == 303
    back = await post(editor, "/console/history", "/console/history/revert", rule="spanish", version=version)
    assert back.status_code == 303
    assert len(await running.read("SELECT * FROM routing_rules")) == 1


async def test_a_call_whose_body_was_dropped_offers_no_rule(running: Running, editor: httpx2.AsyncClient) -> None:
    await post(editor, "/console/rules/new", "/console/rules/new", **RULE)
    for identity, language in (("ana", "es"), ("ben", "en")):
        event_id, _ = await running.join(identity, "hall", metadata={"language": language})
        assert f"/console/rules/new?from={event_id}" in (await editor.get(f"/console/calls/{event_id}")).text
        await running.write(lambda c: c.execute(update(events).values(body=None)))
        page = (await editor.get(f"/console/calls/{event_id}")).text
        assert "/console/rules/new?from=" not in page
        assert "/console/calls/replay" not in page
        assert "no rule can be made from it: the body of its webhook was dropped" in page


async def test_a_call_without_a_rule_is_explained_and_retried(running: Running, editor: httpx2.AsyncClient) -> None:
    event_id, _ = await running.join("ana", "hall", metadata={"language": "es"})
    page = await editor.get(f"/console/calls/{event_id}")
    assert page.status_code == 200
    assert "no rule matched" in page.text
    prefilled = await editor.get(f"/console/rules/new?from={event_id}")
    assert "language" in prefilled.text
    await post(editor, "/console/rules/new", "/console/rules/new", **RULE)
    replayed = await post(editor, f"/console/calls/{event_id}", "/console/calls/replay", event_id=event_id)
    assert replayed.status_code == 303
    story = await editor.get(replayed.headers["location"])
    assert "support-es" in story.text
    assert "waiting" in story.text
    [dispatch] = await running.read("SELECT id FROM dispatches")
    cancelled = await post(
        editor, f"/console/calls/{event_id}", "/console/calls/cancel", id=dispatch["id"], reference=event_id
    )
    assert cancelled.headers["location"].endswith("done=cancelled")
    assert "secret" not in story.text


PAGES = """
/console/ /console/now /console/calls /console/calls?cursor=nonsense /console/rules /console/history /console/agents
/console/calls?search=ana&state=waiting&from=2026-01-01T00:00&zone=-60 /console/agents?hours=168 /console/simulate
/console/lookups /console/new-lookup /console/agents/support-es /console/queue /console/account /api /console/incidents
/console/views
/console/trends /console/trends?hours=168&agent=support-es&rule=spanish /console/trends/part?hours=1
"""


async def test_a_lookup_named_new_has_a_page(running: Running, editor: httpx2.AsyncClient) -> None:
    running.database.execute("INSERT INTO lookups (name, pattern, url) VALUES ('new', '{}', 'https://crm.test/')")
    assert "https://crm.test/" in (await editor.get("/console/lookups/new")).text
    fields = {"name": "other", "pattern": "{}", "url": "https://other.test/", "enabled": "on"}
    added = await post(editor, "/console/new-lookup", "/console/new-lookup", **fields)
    assert added.status_code == 303, added.text
    names = await running.read("SELECT name FROM lookups ORDER BY id")
    assert [one["name"] for one in names] == ["new", "other"]


@pytest.mark.parametrize("path", PAGES.split())
async def test_pages_load_nothing_from_another_host(running: Running, editor: httpx2.AsyncClient, path: str) -> None:
    await post(editor, "/console/rules/new", "/console/rules/new", **RULE)
    await running.join("ana", "hall", metadata={"language": "es"}, attributes={"sip.phoneNumber": "+34600111222"})
    answer = await editor.get(path)
    assert answer.status_code == 200, answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', answer.text):
        assert address.startswith(("/", "#", "?")), address
        assert not address.startswith("//"), address
    assert " style=" not in answer.text
    assert "<script>" not in answer.text


async def test_what_callers_send_is_escaped(running: Running, editor: httpx2.AsyncClient) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    event_id, _ = await running.join(hostile, hostile, metadata={"language": hostile})
    for path in ("/console/", "/console/calls", f"/console/calls/{event_id}", f"/console/rules/new?from={event_id}"):
        page = (await editor.get(path)).text
        assert "<img src=x" not in page, path


async def test_a_draft_is_simulated(running: Running, editor: httpx2.AsyncClient) -> None:
    await post(editor, "/console/rules/new", "/console/rules/new", **RULE)
    await running.join("ana", "hall", metadata={"language": "es"})
    draft = "rules:\n- name: spanish\n  pattern: {room: {name: [hall]}}\n  agent_name: other\n"
    found = await post(editor, "/console/simulate", "/console/simulate", rules=draft, hours="1", delete="on")
    assert "Another agent" in found.text
    wrong = await post(editor, "/console/simulate", "/console/simulate", rules="rules: [1]", hours="1")
    assert wrong.status_code == 422


async def test_users_and_tokens(running: Running) -> None:
    await running.add_user("maria", Role.ADMIN)
    async with running.client() as admin:
        await log_in(admin, "maria")
        page = await post(admin, "/console/users", "/console/users", name="ana", role="viewer")
        [link] = set(re.findall(r"http://usher\.test(/console/password/[\w.-]+)", page.text))
        async with running.client() as ana:
            chosen = await post(ana, link, link, password="another good one", repeated="another good one")
            assert chosen.status_code == 303
            assert (await ana.get("/console/")).status_code == 200
            assert (await ana.get(link)).status_code == 404
        made = await post(admin, "/console/account", "/console/account/tokens", token_name="ci", role="admin", days="7")
        [secret] = set(re.findall(r"usher_[\w-]{40,}", made.text))
        assert secret not in (await admin.get("/console/account")).text
        async with running.client(secret) as program:
            assert (await program.get("/api/v1/me")).json()["name"] == "maria"
        await post(admin, "/console/account", "/console/account/logout")
        assert (await admin.get("/console/")).status_code == 200, "the session that asked goes on"
        assert (await post(admin, "/console/", "/console/logout")).status_code == 303
        assert (await admin.get("/console/")).status_code == 303


async def test_the_login_redirects_to_pages_of_the_console_only(running: Running) -> None:
    await running.add_user("eva", Role.EDITOR)
    for target in ("https://evil.test/", "//evil.test", "/console/\\evil", "/api"):
        async with running.client() as client:
            done = await post(client, "/console/login", "/console/login", name="eva", password=PASSWORD, next=target)
            assert done.headers["location"] == "/console/"


async def test_a_failed_probe_is_shown_on_now_and_agents(running: Running, editor: httpx2.AsyncClient) -> None:
    now = datetime.now(UTC)
    came = {"arrived": True, "milliseconds_to_agent": 420, "detail": ""}
    absent = {"arrived": False, "milliseconds_to_agent": None, "detail": "no worker took the job"}
    rows = [
        {
            "id": lowest_id_at(at),
            "project": "default",
            "agent_name": agent,
            "started_at": at,
            "finished_at": at,
            **result,
        }
        for at, agent, result in (
            (now - timedelta(minutes=9), "tough", absent),
            (now - timedelta(minutes=8), "tough", came),
            (now - timedelta(minutes=7), "what? <b>", came),
            (now - timedelta(minutes=6), "what? <b>", absent),
        )
    ]
    await running.write(lambda connection: connection.execute(insert(probes), rows))
    rule = {**RULE, "agent_name": "what? <b>"}
    await post(editor, "/console/rules/new", "/console/rules/new", **rule)
    await running.service.orchestrator.incidents.run_once()
    now_page = (await editor.get("/console/")).text
    assert now_page.count("its latest probe failed: ") == 1
    assert "no worker took the job" in now_page
    assert 'href="/console/agents/what%3F%20%3Cb%3E"' in now_page
    listed = (await editor.get("/console/agents")).text
    assert "did not join" in listed
    assert "after 420 ms" in listed
    shown = (await editor.get("/console/agents/what%3F%20%3Cb%3E")).text
    assert shown.count('class="chip bad"') == shown.count('class="chip good"') == 1
    async with running.client(await running.token(Role.VIEWER)) as client:
        items = (await client.get("/api/v1/agents")).json()["items"]
        assert {one["name"]: one["latest_probe"]["arrived"] for one in items} == {"tough": True, "what? <b>": False}
        found = (await client.get("/api/v1/probes", params={"agent": "tough"})).json()["items"]
        assert [one["milliseconds_to_agent"] for one in found] == [420, None]


async def test_channels_and_programs_are_added_tested_and_deleted_on_a_page(running: Running) -> None:
    page = "/console/notifications"
    await running.add_user("ada", Role.ADMIN)
    async with running.client() as admin:
        await log_in(admin, "ada")
        assert "No channel is configured" in (await admin.get(page)).text
        secret = {"name": "on call", "url": "json://user:pass-word@127.0.0.1:9/path-secret", "kinds": "no_show"}
        assert (await post(admin, page, f"{page}/people", **secret)).status_code == 303
        refused = await post(admin, page, f"{page}/people", name="x", url="no-url-but-secret", quiet_hours="25")
        assert refused.status_code == 422
        tested = (await post(admin, page, f"{page}/people/on%20call/test")).text
        assert "The test to <bdi>on call</bdi> failed: " in tested
        made = (await post(admin, page, f"{page}/programs", name="crm", url="http://127.0.0.1:9/hook?k=val-ue")).text
        assert "whsec_" in made
        (row,) = await running.read("SELECT id FROM webhook_subscriptions")
        program = f"{page}/programs/{row['id']}"
        assert "Nothing was sent yet" in (await admin.get(program)).text
        assert "The test to <bdi>crm</bdi> failed: " in (await post(admin, page, f"{program}/test")).text
        shown = (await admin.get(page)).text
        for hidden in ("pass-word", "path-secret", "val-ue", "whsec_"):
            assert hidden not in shown + tested
        assert (await post(admin, page, f"{program}/resume")).status_code == 303
        assert (await post(admin, page, f"{program}/delete")).status_code == 303
        assert (await post(admin, page, f"{page}/people/on%20call/delete")).status_code == 303
        assert "No channel is configured" in (await admin.get(page)).text


async def test_an_editor_mutes_an_incident_and_sees_no_notifications(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    await running.join("ana", "hall")
    await running.service.orchestrator.incidents.run_once()
    assert "1 caller matched no rule" in (await editor.get("/console/")).text
    (row,) = await running.read("SELECT id FROM incidents")
    path = f"/console/incidents/{row['id']}"
    assert (await post(editor, "/console/incidents", f"{path}/mute", minutes="60")).status_code == 303
    assert "muted until" in (await editor.get("/console/incidents")).text
    assert "1 caller matched no rule" not in (await editor.get("/console/")).text
    assert (await post(editor, "/console/incidents", f"{path}/unmute")).status_code == 303
    assert "1 caller matched no rule" in (await editor.get("/console/")).text
    assert (await editor.get("/console/notifications")).status_code == 403


async def test_the_list_of_agents_shows_how_often_each_was_asked(running: Running, editor: httpx2.AsyncClient) -> None:
    await post(editor, "/console/rules/new", "/console/rules/new", **RULE)
    for room in ("hall", "yard"):
        await running.join(f"ana of {room}", room, metadata={"language": "es"})
    page = (await editor.get("/console/agents?hours=1")).text
    assert "2 times asked, 0 not joined" in page
    assert page.count('class="joined"') >= 1
    assert "/console/trends?hours=1&amp;agent=support-es" in page


async def test_a_call_shows_one_document_and_internal_steps_on_demand(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    await post(editor, "/console/rules/new", "/console/rules/new", **RULE)
    event_id, _ = await running.join("ana", "hall", metadata={"language": "es"})
    address = f"/console/calls/{event_id}"
    page = (await editor.get(address)).text
    assert "Course of the call" in page
    assert "What <bdi>support-es</bdi>" in page
    assert 'aria-label="The event as received"' not in page
    event = (await editor.get(f"{address}?show=event")).text
    assert 'aria-label="The event as received"' in event
    assert 'aria-label="Metadata"' not in event
    assert f'data-refresh="{address}?steps=&amp;show=event"' in event  # so the choice outlives a renewal
    await running.write(
        lambda c: c.exec_driver_sql(
            "INSERT INTO audit_log (entity, entity_id, from_state, to_state, reason, changed_at, changed_by) "
            "SELECT 'dispatch', id, 'pending', 'sending', 'claimed for a call to LiveKit', created_at, 'usher' "
            "FROM dispatches"
        )
    )
    page = (await editor.get(address)).text
    step = '<p class="reason">claimed for a call to LiveKit</p>'
    assert step not in page
    assert re.search(r"Show \d internal step", page)
    assert step in (await editor.get(f"{address}?steps=all")).text


async def test_a_rule_with_a_share_is_shown_beside_the_rest(running: Running, editor: httpx2.AsyncClient) -> None:
    whole = {"name": "new", "pattern": {"participant": {"metadata": {"language": ["es"]}}}, "agent_name": "next"}
    other = {"name": "the others", "pattern": {"event": ["participant_joined"]}, "agent_name": "old", "priority": 900}
    rule = await running.write(lambda connection: create_rule(connection, whole, "eva"))
    await running.write(lambda connection: create_rule(connection, other, "eva"))
    address = f"/console/rules/{rule.id}"
    assert "Rollout beside the rest" not in (await editor.get(address)).text
    await running.write(lambda c: c.exec_driver_sql("UPDATE routing_rules SET rollout_percent = 0 WHERE name = 'new'"))
    await running.join("ana", "hall", metadata={"language": "es"})
    await running.join("ben", "yard", metadata={"language": "fr"})  # not a caller of the rule
    page = (await editor.get(address)).text
    table = page.partition('aria-label="Rollout beside the rest"')[2].partition("</table>")[0]
    assert re.search(r'Dispatches</th><td class="number">0</td><td class="number">1</td>', table)
    assert "the others</bdi></a> (1)" in page
    api = running.client(await running.token())
    found = (await api.get(f"/api/v1/rules/{rule.id}/rollout")).json()
    assert (found["inside"]["dispatches"], found["outside"]["dispatches"]) == (0, 1)
    assert (await api.get("/api/v1/rules/77/rollout")).status_code == 404
