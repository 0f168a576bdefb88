"""The form of a rule over HTTP: conditions, JSON and YAML, suggestions, starting points, agents."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from html import unescape
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.accounts.roles import Role
from app.rules.rows.lines import Line
from app.server.console.rule_pages.editor.starting_points import STARTING_POINTS
from tests.conftest import PASSWORD
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import RULE, csrf_of, log_in, post

LANGUAGE = "participant.metadata.language"


@pytest.fixture
async def editor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        assert (await log_in(client, "eva", PASSWORD)).status_code == 303
        yield client


def fields_of(lines: Sequence[Line], pattern: Any = None) -> dict[str, Any]:
    """Return the fields of the form that hold these lines; `pattern` is what they were made from."""
    return {
        "pattern_as": "rows",
        "pattern": json.dumps(pattern or {}),
        "line-group": [str(line.group) for line in lines],
        "line-or": ["1" if line.is_or else "" for line in lines],
        "line-field": [line.field for line in lines],
        "line-operator": [line.operator for line in lines],
        "line-values": [line.values for line in lines],
    }


async def stored(running: Running) -> Any:
    [row] = await running.read("SELECT pattern FROM routing_rules")
    return row["pattern"] if isinstance(row["pattern"], dict) else json.loads(row["pattern"])


async def test_conditions_are_saved_as_a_pattern(running: Running, editor: httpx2.AsyncClient) -> None:
    lines = [
        Line(field=LANGUAGE, values="es, ca"),
        Line(operator="begins", values="es-", is_or=True),
        Line(2, "room.name", "begins", "vip-"),
        Line(),
        Line(1, "participant.metadata.spent", "at-least", "1000"),
    ]
    made = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, **fields_of(lines)})
    assert made.status_code == 303, made.text
    assert await stored(running) == {
        "participant": {"metadata": {"language": ["es", "ca", {"prefix": "es-"}]}},
        "$or": [
            {"participant": {"metadata": {"spent": [{"numeric": [">=", 1000]}]}}},
            {"room": {"name": [{"prefix": "vip-"}]}},
        ],
    }
    page = unescape((await editor.get("/console/rules/1")).text)
    assert 'value="es, ca"' in page
    assert 'value="1000"' in page


async def test_a_mistake_in_a_condition_is_shown_beside_it(running: Running, editor: httpx2.AsyncClient) -> None:
    lines = [Line(field="room.name", values="hall"), Line(field=LANGUAGE)]
    for path in ("/console/rules/new", "/console/rules/check"):
        answer = await post(editor, "/console/rules/new", path, **{**RULE, **fields_of(lines)})
        assert "ondition 2 needs at least one value" in answer.text
    many = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, **fields_of([*lines * 31])})
    assert many.status_code == 422
    assert "more than 60 conditions" in many.text
    wrong = [Line(field="room.name", operator="wildcard", values="a**")]
    refused = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, **fields_of(wrong)})
    assert refused.status_code == 422
    assert 'value="a**"' in refused.text
    assert await running.read("SELECT * FROM routing_rules") == []


async def test_what_means_the_same_keeps_its_spelling(running: Running, editor: httpx2.AsyncClient) -> None:
    dotted = {"participant.metadata.language": ["es"]}
    await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, "pattern": json.dumps(dotted)})
    [version] = re.findall(r'name="version" value="(\d+)"', (await editor.get("/console/rules/1")).text)
    lines = fields_of([Line(field=LANGUAGE, values="es")], dotted)
    saved = await post(editor, "/console/rules/1", "/console/rules/1", **{**RULE, **lines, "version": version})
    assert saved.headers["location"].endswith("done=saved")
    assert await stored(running) == dotted
    lines = fields_of([Line(field=LANGUAGE, values="es, ca")], dotted)
    await post(editor, "/console/rules/1", "/console/rules/1", **{**RULE, **lines, "version": version})
    assert await stored(running) == {"participant": {"metadata": {"language": ["es", "ca"]}}}


async def test_yaml_is_read_and_its_mistakes_are_reported(running: Running, editor: httpx2.AsyncClient) -> None:
    yaml = "participant:\n  metadata: {language: [es, ca]}\n"
    sent = {**RULE, "pattern_as": "yaml", "pattern": "participant: {"}
    wrong = await post(editor, "/console/rules/new", "/console/rules/new", **sent)
    assert wrong.status_code == 422
    assert "is not YAML" in wrong.text
    assert "participant: {" in wrong.text
    made = await post(editor, "/console/rules/new", "/console/rules/new", **{**sent, "pattern": yaml})
    assert made.status_code == 303
    assert await stored(running) == {"participant": {"metadata": {"language": ["es", "ca"]}}}


@pytest.mark.parametrize("path", ["/console/rules/part", "/console/rules/new"])
async def test_one_form_becomes_another(editor: httpx2.AsyncClient, path: str) -> None:
    async def change(part: str, **sent: Any) -> str:
        token = csrf_of(await editor.get("/console/rules/new"))
        answer = await editor.post(path, data={**RULE, "csrf": token, "part": part, **sent})
        assert answer.status_code == 200
        return unescape(answer.text)

    as_json = {"pattern_as": "json", "pattern": '{"room": {"name": [{"prefix": "hall-"}]}}'}
    rows = await change("rows", **as_json)
    assert '<option value="begins" selected>' in rows
    assert 'value="hall-"' in rows
    assert "prefix: hall-" in await change("yaml", **as_json)
    lines = [Line(field="room.name", operator="begins", values="hall-")]
    back = await change("json", **fields_of(lines))
    assert '{"prefix": "hall-"}' in back
    assert "is not JSON" in await change("rows", pattern_as="json", pattern="{")
    beyond = '{"$or": [{"a": [1]}, {"$or": [{"b": [1]}, {"c": [1]}]}]}'
    assert "$or within $or" in await change("rows", pattern_as="json", pattern=beyond)
    assert (await change("group", **fields_of(lines))).count('name="line-field"') == 3
    assert (await change("add-0", **fields_of(lines))).count('name="line-field"') == 2
    assert "or the same field" in await change("or-0", **fields_of(lines))
    assert "there is no condition" in await change("remove-0", **fields_of(lines))
    for nonsense in ("remove-9", "or-x", "add-9999", "what", "rows-1"):
        assert "hall-" in await change(nonsense, **fields_of(lines))


async def test_fields_and_values_of_recent_events_are_offered(running: Running, editor: httpx2.AsyncClient) -> None:
    for number, language in enumerate(("es", "es", "<b>")):
        await running.join(f"user-{number}", "hall", metadata={"language": language, "account": "4410"})
    page = await post(editor, "/console/rules/new", "/console/rules/part", part="add-0", pattern_as="rows")
    assert f'<option value="{LANGUAGE}">in 3 of 3 events</option>' in page.text
    assert '<option value="participant.phone.called">number dialled</option>' in page.text
    for unasked in ("egressInfo", "job.", "track.", "turnPassword"):
        assert f'<option value="{unasked}' not in page.text
    assert "room.turnPassword" not in page.text
    ended = fields_of([Line(field="event", values="egress_ended")])
    page = await post(editor, "/console/rules/new", "/console/rules/part", part="add-0", **ended)
    assert '<option value="egressInfo.status"></option>' in page.text
    values = (await editor.get(f"/console/rules/values?field={LANGUAGE}")).text
    assert '<option value="es">2 events</option>' in values
    assert "&lt;b&gt;" in values
    assert "&#34;4410&#34;" in (await editor.get("/console/rules/values?field=participant.metadata.account")).text
    assert (await editor.get("/console/rules/values?field=unheard.of")).text.strip() == ""
    kinds = (await editor.get("/console/rules/values?field=participant.kind")).text
    assert "STANDARD" in kinds
    async with running.client() as viewer:
        await running.add_user("vera", Role.VIEWER)
        await log_in(viewer, "vera")
        assert (await viewer.get(f"/console/rules/values?field={LANGUAGE}")).status_code == 403


async def test_starting_points_fill_the_form(editor: httpx2.AsyncClient) -> None:
    for one in STARTING_POINTS:
        page = (await editor.get(f"/console/rules/new?start={one.key}")).text
        assert page.count('name="line-field"') == len(one.lines)
        assert f'href="/docs/{one.guide}"' in page
    block = (await editor.get("/console/rules/new?start=block")).text
    assert '<option value="remove" selected>' in block
    assert "Priority: 1<" in block
    assert (await editor.get("/console/rules/new?start=unheard-of")).status_code == 200


async def test_a_starting_point_has_the_place_that_it_promises(editor: httpx2.AsyncClient) -> None:
    def priority_on(page: httpx2.Response) -> int:
        [found] = re.findall(r'id="priority" name="priority" type="number" value="(-?\d+)"', page.text)
        return int(found)

    async def priority_of(start: str) -> int:
        return priority_on(await editor.get(f"/console/rules/new?start={start}"))

    assert [await priority_of(one) for one in ("block", "vip", "rest")] == [1, 10, 1000]
    await make(editor, "blocked", priority="1", action="remove", agent_name="")
    await make(editor, "first", priority="10")
    await make(editor, "last", priority="1000")
    assert [await priority_of(one) for one in ("block", "vip", "rest")] == [0, 9, 1001]
    await make(editor, "lowest", priority="-1000000")
    await make(editor, "highest", priority="1000000")
    assert [await priority_of(one) for one in ("block", "vip", "rest")] == [-1_000_000, -1_000_000, 1_000_000]


async def test_an_unfinished_condition_is_no_mistake_while_it_is_typed(editor: httpx2.AsyncClient) -> None:
    started = fields_of([Line(field=LANGUAGE)])
    answer = await post(editor, "/console/rules/new", "/console/rules/check", **{**RULE, **started})
    assert "mistake" not in answer.text
    assert "cannot be saved" not in answer.text
    assert "Condition 1 needs at least one value" in answer.text
    nameless = await post(editor, "/console/rules/new", "/console/rules/check", **{**RULE, **started, "name": ""})
    assert "Still required: name" in nameless.text
    wrong = fields_of([Line(field="room.name", operator="less", values="x")])
    answer = await post(editor, "/console/rules/new", "/console/rules/check", **{**RULE, **wrong})
    assert "1 mistake" in answer.text
    saved = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, **started})
    assert saved.status_code == 422
    assert "ondition 1 needs at least one value" in saved.text


async def make_with_id(running: Running, editor: httpx2.AsyncClient, name: str, rule_id: int) -> None:
    """Make a rule, and give it the id of a deleted one, as plain SQL may."""
    await make(editor, name)
    statement = text("UPDATE routing_rules SET id = :id WHERE name = :name")
    await running.write(lambda connection: connection.execute(statement, {"id": rule_id, "name": name}))


@pytest.mark.parametrize("is_taken_again", [False, True])
async def test_an_edit_of_a_rule_deleted_meanwhile_becomes_a_new_rule(
    running: Running, editor: httpx2.AsyncClient, is_taken_again: bool
) -> None:
    await make(editor, "spanish")
    [version] = re.findall(r'name="version" value="(\d+)"', (await editor.get("/console/rules/1")).text)
    await post(editor, "/console/rules", "/console/rules/1/delete")
    if is_taken_again:
        await make_with_id(running, editor, "another", 1)
    edit = {**RULE, "name": "spanish too", "agent_name": "edited-agent", "version": version}
    refused = await post(editor, "/console/rules", "/console/rules/1", **edit)
    assert refused.status_code == 409
    assert "This rule has been deleted meanwhile" in refused.text
    assert "By <bdi>eva</bdi>" in refused.text
    assert 'value="edited-agent"' in refused.text
    assert 'action="/console/rules/new"' in refused.text
    assert await order_of(running) == ["another"] * is_taken_again
    saved = await post(editor, "/console/rules", "/console/rules/new", **edit)
    assert saved.status_code == 303
    assert "spanish too" in await order_of(running)


@pytest.mark.parametrize("action", ["delete", "switch", "pause", "move"])
async def test_a_form_of_a_deleted_rule_changes_no_other(
    running: Running, editor: httpx2.AsyncClient, action: str
) -> None:
    for name in ("first", "spanish"):
        await make(editor, name)
    pages = [(await editor.get(path)).text for path in ("/console/rules", "/console/rules/2")]
    form = re.compile(rf'/2/{action}".*?name="seen_version" value="(\d+)"')
    versions = {found[1] for page in pages if (found := form.search(page))}
    assert versions
    await post(editor, "/console/rules", "/console/rules/2/delete")
    await make_with_id(running, editor, "another", 2)
    before = await running.read("SELECT * FROM routing_rules")
    for seen in versions:
        refused = await post(editor, "/console/rules", f"/console/rules/2/{action}", seen_version=seen)
        assert refused.status_code == 409
        assert "was deleted meanwhile by eva" in refused.text
    assert await running.read("SELECT * FROM routing_rules") == before


async def test_the_hours_stay_open_after_their_buttons_without_a_script(editor: httpx2.AsyncClient) -> None:
    page = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, "part": "hours-add"})
    [open_parts] = re.findall(r"<details class=\"card fold\" open><summary>([^<]*)", page.text)
    assert open_parts.strip() == "When, and for how many callers"


async def test_a_paused_rule_is_said_to_match_none_because_of_its_pause(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    await running.join("ana", "hall", metadata={"language": "es"})
    paused = {**RULE, "paused_until": "2999-01-01T00:00:00Z"}
    answer = await post(editor, "/console/rules/new", "/console/rules/check", **paused)
    assert "matches none of the latest 1 events: would match, but is paused until 2999-01-01" in answer.text


async def test_an_agent_that_never_joined_is_said_with_the_nearest(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    everybody = {**RULE, "pattern": "{}", "name": "all"}
    await post(editor, "/console/rules/new", "/console/rules/new", **everybody)
    await running.join("ana", "hall")
    waiting = await post(editor, "/console/rules/new", "/console/rules/check", **RULE)
    assert "It joined none of its latest dispatches." in waiting.text
    await running.write(lambda c: c.exec_driver_sql("UPDATE dispatches SET joined_at = created_at, status = 'joined'"))
    known = await post(editor, "/console/rules/new", "/console/rules/check", **RULE)
    assert re.search(r"Joined \d+ (s|min) ago", known.text)
    misspelt = await post(editor, "/console/rules/new", "/console/rules/check", **{**RULE, "agent_name": "suport-es"})
    assert "No agent of this name was ever dispatched." in misspelt.text
    assert "Did you mean <code><bdi>support-es</bdi></code>?" in misspelt.text
    assert "support-es" in (await editor.get("/console/rules/new")).text


async def test_the_bar_says_what_the_rule_matches(running: Running, editor: httpx2.AsyncClient) -> None:
    await running.join("ana", "hall", metadata={"language": "es"})
    matching = await post(editor, "/console/rules/new", "/console/rules/check", **RULE)
    assert "Matches 1 of the last 1</strong> · reached by 1" in matching.text
    other = {**RULE, "pattern": '{"participant": {"metadata": {"language": ["fr"]}}}'}
    nothing = await post(editor, "/console/rules/new", "/console/rules/check", **other)
    assert "Matches none of the last 1" in nothing.text
    assert "banner warning" in nothing.text
    assert (
        "Still required: name"
        in (await post(editor, "/console/rules/new", "/console/rules/check", **{**RULE, "name": ""})).text
    )
    wrong = {**RULE, "max_attempts": "x", "priority": "y"}
    assert "2 mistakes" in (await post(editor, "/console/rules/new", "/console/rules/check", **wrong)).text


async def order_of(running: Running) -> list[str]:
    return [row["name"] for row in await running.read("SELECT name FROM routing_rules ORDER BY priority, id")]


async def make(editor: httpx2.AsyncClient, name: str, **columns: str) -> None:
    made = await post(editor, "/console/rules/new", "/console/rules/new", **{**RULE, "name": name, **columns})
    assert made.status_code == 303, made.text


async def test_rules_are_moved_and_ties_are_said(running: Running, editor: httpx2.AsyncClient) -> None:
    for name in ("one", "two", "three"):
        await make(editor, name)
    page = (await editor.get("/console/rules")).text
    assert page.count("as the one above") == 2
    moved = await post(editor, "/console/rules", "/console/rules/3/move", above="1")
    assert moved.headers["location"] == "/console/rules?done=moved#rule-3"
    assert await order_of(running) == ["three", "one", "two"]
    await post(editor, "/console/rules", "/console/rules/3/move", above="2", after="50", search="t")
    assert await order_of(running) == ["one", "three", "two"]
    last = await post(editor, "/console/rules", "/console/rules/1/move", above="", from_page="rule")
    assert last.headers["location"] == "/console/rules/1?done=moved#rule-1"
    assert await order_of(running) == ["three", "two", "one"]
    assert (await post(editor, "/console/rules", "/console/rules/1/move", above="99")).status_code == 404
    assert "Tried as number 3 of 3" in (await editor.get("/console/rules/1")).text
    by = {row["changed_by"] for row in await running.read("SELECT changed_by FROM rule_changes")}
    assert by == {"eva"}


async def test_switching_off_says_what_becomes_of_the_callers(running: Running, editor: httpx2.AsyncClient) -> None:
    await make(editor, "spanish")
    await make(editor, "all", pattern="{}", priority="100", agent_name="support-en")
    for number in range(3):
        await running.join(f"user-{number}", "hall", metadata={"language": "es"})
    assert "callers an hour fall to support-en" in (await editor.get("/console/rules/1")).text
    off = await post(editor, "/console/rules", "/console/rules/1/switch", search="spa")
    assert off.headers["location"] == "/console/rules?off=off&search=spa&rule=1#rule-1"
    page = (await editor.get(off.headers["location"])).text
    assert "It is off. About" in page
    assert "callers an hour fall to support-en." in page
    assert [row["enabled"] for row in await running.read("SELECT enabled FROM routing_rules ORDER BY id")] == [0, 1]
    on = await post(editor, "/console/rules", "/console/rules/1/switch", enabled="on", from_page="rule")
    assert on.headers["location"] == "/console/rules/1?done=switched-on#rule-1"
    paused = await post(editor, "/console/rules", "/console/rules/2/pause", hours="1")
    page = (await editor.get(paused.headers["location"])).text
    assert "It is paused. Nothing changes for the latest events." in page
    assert "Resume all" in page
    assert await running.read("SELECT * FROM routing_rules WHERE paused_until IS NOT NULL")
    await post(editor, "/console/rules", "/console/rules/2/pause", hours="")
    assert not await running.read("SELECT * FROM routing_rules WHERE paused_until IS NOT NULL")


async def test_a_rule_is_duplicated(editor: httpx2.AsyncClient) -> None:
    await make(editor, "spanish", max_attempts="7", fallbacks="reception")
    page = (await editor.get("/console/rules/new?copy=1")).text
    assert 'value="spanish (copy)"' in page
    assert "Attempts: 7" in page
    assert "reception</textarea>" in page
    assert (await editor.get("/console/rules/new?copy=9")).status_code == 404


HOURS: dict[str, Any] = {
    "hours_as": "week",
    "active_hours": "",
    "hours-row": ["0", "1"],
    "hours-days-0": ["0", "1", "2"],
    "hours-start-0": "09:00",
    "hours-end-0": "00:00",
    "hours-days-1": ["5"],
    "hours-start-1": "10:00",
    "hours-end-1": "14:00",
    "hours-closed": "on",
}


async def test_hours_are_rows_of_days_and_times(running: Running, editor: httpx2.AsyncClient) -> None:
    sent = {**RULE, **HOURS, "holidays": "ES"}
    lacking = await post(editor, "/console/rules/new", "/console/rules/new", **{**sent, "hours-days-1": []})
    assert lacking.status_code == 422
    assert "hours 2 name no day" in lacking.text
    assert (await post(editor, "/console/rules/new", "/console/rules/new", **sent)).status_code == 303
    [row] = await running.read("SELECT active_hours FROM routing_rules")
    assert row["active_hours"] == "Mo-We 09:00-24:00; Sa 10:00-14:00; PH off"
    page = (await editor.get("/console/rules/1")).text
    assert page.count('name="hours-row"') == 2
    assert 'name="hours-closed" value="on" checked' in page


@pytest.mark.parametrize("path", ["/console/rules/part", "/console/rules/new"])
async def test_hours_are_shown_as_rows_or_as_text(editor: httpx2.AsyncClient, path: str) -> None:
    async def change(part: str, **sent: Any) -> str:
        token = csrf_of(await editor.get("/console/rules/new"))
        answer = await editor.post(path, data={**RULE, "csrf": token, "part": part, **sent})
        assert answer.status_code == 200
        return unescape(answer.text)

    assert 'value="Mo-We 09:00-24:00; Sa 10:00-14:00; PH off"' in await change("hours-text", **HOURS)
    assert (await change("hours-add", **HOURS)).count('name="hours-row"') == 3
    assert (await change("hours-remove-1", **HOURS)).count('name="hours-row"') == 1
    assert (await change("hours-week", active_hours="Mo-Fr 09:00-18:00")).count('name="hours-row"') == 1
    assert "more than days and times" in await change("hours-week", active_hours="Dec 24 off")
    assert (await change("hours-text", **{**HOURS, "hours-start-0": "late"})).count('name="hours-row"') == 2
    assert "name no day" in await change("hours-text", **{**HOURS, "hours-days-0": []})


async def test_a_rule_from_a_call_offers_its_fields(running: Running, editor: httpx2.AsyncClient) -> None:
    event_id, _ = await running.join("ana", "hall", metadata={"language": "es", "account": 4410})
    address = f"/console/rules/new?from={event_id}"
    page = unescape((await editor.get(address)).text)
    for path in (LANGUAGE, "participant.metadata.account", "room.name", "participant.identity"):
        assert f'name="field" value="{path}"' in page
    assert f'value="{LANGUAGE}" checked' in page
    assert page.count('name="line-field"') == 2
    narrowed = unescape((await editor.get(f"{address}&field={LANGUAGE}&field=room.name&field=unheard.of")).text)
    assert narrowed.count('name="line-field"') == 2
    assert 'value="hall"' in narrowed
    assert 'value="participant.metadata.account" checked' not in narrowed


async def test_one_change_is_undone_and_what_was_changed_since_stays(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    async def edit(columns: str) -> None:
        await running.write(lambda c: c.exec_driver_sql(f"UPDATE routing_rules SET {columns} WHERE id = 1"))

    async def undo(version: int) -> httpx2.Response:
        return await post(editor, "/console/history", "/console/history/undo", version=str(version))

    async def rule() -> dict[str, Any]:
        [row] = await running.read("SELECT priority, max_attempts, agent_name FROM routing_rules")
        return dict(row)

    await make(editor, "spanish")
    await edit("priority = 5")
    await edit("max_attempts = 9")
    await edit("agent_name = 'other'")
    versions = [row["id"] for row in await running.read("SELECT id FROM rule_changes ORDER BY id")]
    page = (await editor.get("/console/history")).text
    assert page.count(">Undo this change<") == 4
    assert "<del>10</del>" in page
    assert "<ins>5</ins>" in page
    undone = await undo(versions[1])
    assert undone.headers["location"] == "/console/history?rule=spanish&done=undone"
    assert await rule() == {"priority": 10, "max_attempts": 9, "agent_name": "other"}
    again = await undo(versions[1])
    assert again.status_code == 409
    assert "changed again since" in again.text
    assert (await undo(versions[0])).status_code == 409
    await post(editor, "/console/rules", "/console/rules/1/delete")
    assert (await undo(versions[2])).status_code == 409
    [deleted] = await running.read("SELECT max(id) AS id FROM rule_changes")
    assert (await undo(deleted["id"])).status_code == 303
    assert await rule() == {"priority": 10, "max_attempts": 9, "agent_name": "other"}
    [made] = await running.read("SELECT max(id) AS id FROM rule_changes")
    assert (await undo(made["id"])).status_code == 303
    assert await running.read("SELECT * FROM routing_rules") == []
    assert (await undo(999)).status_code == 404
    reasons = [row["why"] for row in await running.read("SELECT why FROM rule_changes WHERE why IS NOT NULL")]
    assert f"undo of version {versions[1]}" in reasons


async def test_a_draft_is_tried_on_the_last_day(running: Running, editor: httpx2.AsyncClient) -> None:
    await make(editor, "all", pattern="{}", agent_name="support-en")
    event_id, _ = await running.join("ana", "hall", metadata={"language": "es"})
    await running.join("ben", "hall-2", metadata={"language": "en"})
    draft = {**RULE, "priority": "1", "submit": "simulate"}
    tried = unescape((await post(editor, "/console/rules/new", "/console/rules/new", **draft)).text)
    assert "1 of 2 events would go another way" in tried
    assert f'href="/console/calls/{event_id}"' in tried
    assert len(await running.read("SELECT * FROM routing_rules")) == 1, "nothing is saved"
    same = {**RULE, "name": "all", "pattern": "{}", "agent_name": "support-en", "submit": "simulate"}
    assert "0 of 2 events" in (await post(editor, "/console/rules/1", "/console/rules/1", **same)).text
    wrong = await post(editor, "/console/rules/new", "/console/rules/new", **{**draft, "max_attempts": "x"})
    assert wrong.status_code == 422
