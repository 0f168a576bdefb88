"""The page of a call, over HTTP."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.pages.test_languages import GERMAN
from tests.integration.server.test_console import log_in


@pytest.mark.parametrize(
    "columns",
    [
        {"paused_until": "9999-12-31"},
        {"active_hours": "1900 Jan 01 00:00-24:00"},
        {"rollout_percent": 0},
    ],
)
async def test_a_rule_that_only_lacked_its_time_or_share_stands_next_to_the_matched_one(
    running: Running, columns: dict[str, str | int]
) -> None:
    for row in (
        {"name": "nearly", "pattern": "{}", "priority": 1, **columns},
        {"name": "all", "pattern": "{}"},
        {"name": "other", "pattern": '{"room": {"name": ["nowhere"]}}'},
    ):
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        running.database.execute(f"INSERT INTO routing_rules (agent_name, {names}) VALUES ('a', {places})", **row)
    await running.add_user("vera", Role.VIEWER)
    event_id, _ = await running.join("ana", "hall")
    async with running.client() as client:
        await log_in(client, "vera")
        page = (await client.get(f"/console/calls/{event_id}")).text
    found = re.search(r'aria-label="Rules tried".*?</table>', page, re.DOTALL)
    assert found is not None
    assert re.findall(r'class="who"[^>]*><bdi>(.*?)</bdi>', found[0]) == ["all", "nearly"]


PHONE = {"sip.phoneNumber": "+34600111222", "sip.trunkPhoneNumber": "15557654321", "sip.trunkID": "ST_7"}


@pytest.mark.parametrize("is_of_earlier_release", [False, True])
async def test_the_number_that_was_dialled_is_shown_listed_and_exported(
    running: Running, is_of_earlier_release: bool
) -> None:
    await running.add_user("vera", Role.VIEWER)
    inbound = {"kind": "SIP", "attributes": {**PHONE, "sip.ruleID": "SDR_1"}}
    event_id, _ = await running.join("sip_ana", "hall", **inbound)
    callee, _ = await running.join("sip_bo", "away", kind="SIP", attributes=PHONE)
    if is_of_earlier_release:  # which stored it in the body only
        running.database.execute("UPDATE events SET trunk_number = NULL")
    async with running.client() as client:
        await log_in(client, "vera")
        page = (await client.get(f"/console/calls/{event_id}")).text
        listed = (await client.get("/console/calls")).text
        dialled_by_us = (await client.get(f"/console/calls/{callee}")).text
        exported = (await client.get("/console/calls/export?format=csv")).text
        as_json = (await client.get("/console/calls/export?format=jsonl")).text
    field = r"<dt>Dialled number</dt><dd>(.*?)</dd>"
    [shown] = re.findall(field, page)
    assert re.sub("<[^>]+>", " ", shown).split() == ["+15557654321", "trunk", "ST_7"]
    # Whom we called is said as the caller's number already; its trunk is said, too
    [shown] = re.findall(field, dialled_by_us)
    assert re.sub("<[^>]+>", " ", shown).split() == ["+34600111222", "trunk", "ST_7"]
    assert listed.count("→ <bdi>+15557654321</bdi>") == 1
    by_caller = {row["caller"]: row["called_number"] for row in csv.DictReader(io.StringIO(exported))}
    assert by_caller == {"sip_ana": "+15557654321"}
    [call] = map(json.loads, as_json.splitlines())
    assert (call["called_number"], call["phone_number"]) == ("+15557654321", "+34600111222")
    # And others cannot pretend to have dialled a number
    await running.join("web", "hall", attributes=PHONE)
    async with running.client() as client:
        await log_in(client, "vera")
        found = (await client.get("/console/calls?q=web")).text
    assert "5557654321" not in found


async def test_why_a_caller_was_ignored_is_said_in_german(running: Running) -> None:
    running.database.execute("INSERT INTO routing_rules (name, pattern, action) VALUES ('tests', '{}', 'ignore')")
    await running.add_user("vera", Role.VIEWER)
    event_id, _ = await running.join("ana", "hall")
    async with running.client() as client:
        await log_in(client, "vera")
        for path in ("?state=ignored", f"/{event_id}"):
            page = html.unescape((await client.get(f"/console/calls{path}", headers=GERMAN)).text)
            assert "die Regel 'tests' ignoriert es" in page
            assert "ignores it" not in page
