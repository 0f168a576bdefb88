"""Pages of the console link to what their user may open, and say what is not done in a project that was removed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection

from app.accounts.roles import Role
from app.accounts.users import set_projects
from app.db.types import IncidentKind
from app.incidents.changes import Changes
from app.incidents.incident_store import write_changes
from app.incidents.sighting import Key, Level, Sighting
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

RULE: dict[str, Any] = {"name": "all", "pattern": {"event": ["participant_joined"]}, "agent_name": "greeter"}
_TROUBLES: tuple[tuple[IncidentKind, str, dict[str, Any]], ...] = (
    (IncidentKind.AGENT_NOT_JOINING, "greeter", {}),
    (IncidentKind.NO_SHOW, "all", {}),
    (IncidentKind.RULE_BROKEN, "all", {"rule_id": 1}),
    (IncidentKind.RULE_BROKEN, "pager", {"table": "notifications", "name": "pager"}),
)


def open_incidents(connection: Connection) -> None:
    found = [Sighting(Key(kind, subject, "default"), Level.OPEN, 1, detail) for kind, subject, detail in _TROUBLES]
    write_changes(connection, Changes(opened=found), datetime.now(UTC))


async def logged_in(running: Running, name: str, role: Role, *projects: str) -> httpx2.AsyncClient:
    user = await running.add_user(name, role)
    if projects:
        await running.write(lambda c: set_projects(c, user.id, projects, by="test", now=datetime.now(UTC)))
    client = running.client()
    await log_in(client, name)
    return client


async def with_a_queue(running: Running) -> str:
    """Let a caller wait for a place with an agent that takes no calls, until 2099; return the id of the call."""
    await running.client(await running.token()).post("/api/v1/rules", json={**RULE, "queue_timeout_s": 86_400})
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 0)")
    event_id, _ = await running.join("ana", "hall")
    waits = "UPDATE dispatches SET status = 'pending', cause = 'queued', queued_at = created_at"
    running.database.execute(f"{waits}, next_attempt_at = '2099-01-01 00:00:00.000000'")
    return event_id


@pytest.mark.parametrize(
    ("role", "projects"),
    [(Role.VIEWER, ()), (Role.EDITOR, ()), (Role.ADMIN, ()), (Role.VIEWER, ("default",)), (Role.EDITOR, ("default",))],
)
async def test_no_link_leads_to_a_page_that_its_user_may_not_open(
    running: Running, role: Role, projects: tuple[str, ...]
) -> None:
    # Given calls, one of which matches no rule, a queue, and incidents of all kinds of pages
    matched = await with_a_queue(running)
    await running.write(open_incidents)
    client = await logged_in(running, "maria", role, *projects)
    paths = ["", "calls", f"calls/{matched}", "queue", "trends", "incidents", "simulate", "views", "account"]
    # When every link of every page is followed
    links: dict[str, str] = {}
    for path in paths:
        page = await client.get(f"/console/{path}", follow_redirects=True)
        assert page.status_code == 200, path
        links |= dict.fromkeys(re.findall(r'href="(/console/[^"#]*)', page.text), path)
    # Then none is refused
    answers = {one: await client.get(one.replace("&amp;", "&")) for one in links}
    assert {one: links[one] for one, answer in answers.items() if answer.status_code == 403} == {}


async def test_a_hand_over_is_offered_to_users_of_all_projects(running: Running) -> None:
    call = await with_a_queue(running)
    of_all = await logged_in(running, "ana", Role.EDITOR)
    of_one = await logged_in(running, "bo", Role.EDITOR, "default")
    for client, offered in ((of_all, True), (of_one, False)):
        page = (await client.get(f"/console/calls/{call}")).text
        assert ("/console/calls/handover" in page) is offered
        assert "/console/calls/cancel" in page


async def test_pages_say_that_nothing_is_sent_in_a_removed_project(running: Running) -> None:
    call = await with_a_queue(running)
    client = await logged_in(running, "ana", Role.EDITOR)
    assert "not configured" not in (await client.get(f"/console/calls/{call}")).text
    assert "not configured" not in (await client.get("/console/queue")).text
    for table in ("events", "dispatches"):
        running.database.execute(f"UPDATE {table} SET project = 'gone'")
    page = (await client.get(f"/console/calls/{call}")).text
    assert "Project &#39;gone&#39; is not configured here: add it to USHER_PROJECTS_FILE again" in page
    assert "/console/calls/cancel" in page
    assert "/console/calls/handover" not in page
    assert "/console/calls/replay" not in page
    queue = (await client.get("/console/queue")).text
    assert "project not configured" in queue
    assert "its project is not configured: nothing is sent there" in queue


async def test_a_cancel_says_what_stays_at_livekit(running: Running) -> None:
    await with_a_queue(running)
    sent, _ = await running.join("bo", "lobby")
    client = await logged_in(running, "ana", Role.EDITOR)
    running.database.execute(
        "UPDATE dispatches SET status = 'dispatched', attempts = 1, livekit_dispatch_id = 'AD_1', project = 'gone' "
        f"WHERE event_id = '{sent}'"
    )
    running.database.execute(f"UPDATE events SET project = 'gone' WHERE id = '{sent}'")
    [dispatch] = await running.read(f"SELECT id FROM dispatches WHERE event_id = '{sent}'")
    answer = await post(client, f"/console/calls/{sent}", "/console/calls/cancel", id=dispatch["id"], reference=sent)
    page = await client.get(answer.headers["location"])
    assert "The dispatch stays at LiveKit, where an agent may still join" in page.text


async def test_the_queue_says_on_which_day_a_wait_ends(running: Running) -> None:
    await with_a_queue(running)
    page = (await (await logged_in(running, "ana", Role.VIEWER)).get("/console/queue")).text
    assert re.search(r'until <time [^>]*data-style="datetime"', page)


async def test_the_page_now_says_how_many_incidents_it_leaves_out(running: Running) -> None:
    def open_many(connection: Connection) -> None:
        keys = [Key(IncidentKind.NO_SHOW, f"rule {number}", "default") for number in range(12)]
        write_changes(connection, Changes(opened=[Sighting(key, Level.OPEN, 1, {}) for key in keys]), datetime.now(UTC))

    await running.write(open_many)
    page = (await (await logged_in(running, "ana", Role.VIEWER)).get("/console/")).text
    assert page.count('<section class="banner error"><h2>No agent joined') == 10
    assert "2 more open incidents" in page


async def test_a_limit_is_shown_as_one_of_each_project(of_projects: Running) -> None:
    of_projects.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 4)")
    client = await logged_in(of_projects, "ana", Role.VIEWER)
    for path in ("agents", "agents/greeter"):
        assert "at most 4 in each project" in (await client.get(f"/console/{path}")).text, path
