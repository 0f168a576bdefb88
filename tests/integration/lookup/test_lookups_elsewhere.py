"""Where the answers of lookups are shown and used: timelines, token servers, people's data, warnings."""

from __future__ import annotations

import json
from typing import Any

from app.audit import (
    CallFilter,
    CallState,
    StepKind,
    explain,
    export_person,
    find_person,
    list_calls,
    rows_about,
    timeline,
)
from app.flows.erase.erase import Access, erase_person
from app.flows.token_dispatches import decide
from app.plan.expected import Expected
from app.rules.book.read_book import read_book
from app.rules.warnings.rule_warnings import WarningKind, rule_warnings
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

VIP = {"lookup": {"crm": {"tier": ["gold"]}}}


def document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@in_virtual_time
async def test_the_timeline_and_the_explanation_show_the_answer_and_its_time(database: Database) -> None:
    async with World(database) as world:
        world.rule("vip", "concierge", VIP)
        world.lookup()
        world.lookup("tickets", timeout_ms=500, on_error={"open": 0})
        world.services.answer("crm", {"tier": "gold"}, after=1.2)
        world.services.answer("tickets", 2, after=9)
        world.simulator.join("room", "ana")
        await world.until(lambda: world.events(outcome="looking_up"))
        with database.reader_engine().connect() as connection:
            (call,) = list_calls(connection, CallFilter()).items
            waiting = timeline(connection, "ana")
        assert call.state is CallState.WAITING
        assert "'crm', 'tickets' is awaited" in waiting.steps[-1].title
        await world.until(world.dispatches)
        with database.reader_engine().connect() as connection:
            found = timeline(connection, "ana")
            explained = explain(connection, "ana")
        steps = [(one.title, one.seconds_since_joining) for one in found.steps if one.kind is StepKind.LOOKUP]
        assert steps == [
            ("lookup 'tickets' was not answered: its default is used", 0.5),
            ("lookup 'crm' was answered", 1.2),
        ]
        (decided,) = [one for one in found.steps if one.kind is StepKind.DECISION]
        assert (decided.title, decided.seconds_since_joining) == ("rule 'vip' matched", 1.2)
        assert explained.matched == ("vip",)
        assert explained.doubt == ""
        assert explained.event.lookups is not None
        assert explained.event.lookups["tickets"]["answer"] == {"open": 0}


@in_virtual_time
async def test_a_token_server_waits_for_the_answer(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule("vip", "concierge", VIP)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        world.simulator.join("other", "eva")  # brings the book
        await world.until(world.dispatches)
        usher = world.usher.orchestrator
        expected = Expected("default", "room", "", "ana", "", "STANDARD", "", {})
        decided = await decide(usher.context, usher.book, expected, usher.lookups.answered)
        (promise,) = decided.promises
        assert promise.agent_name == "concierge"
        world.services.answer("crm", {"tier": "gold"}, after=60)
        began = world.loop.time()
        decided = await decide(usher.context, usher.book, expected, usher.lookups.answered)
        assert decided.promises == []
        assert 1.4 < world.loop.time() - began < 1.6


@in_virtual_time
async def test_a_person_s_answers_are_exported_and_erased(database: Database) -> None:
    async with World(database) as world:
        world.rule("vip", "concierge", VIP)
        world.lookup()
        world.services.answer("crm", {"tier": "gold", "birthday": "2000-01-01"})
        world.simulator.join("room", "ana")
        await world.until(world.dispatches)
        world.simulator.leave("room", "ana")
        await world.wait(60)
        now = world.clock.now()
        with database.reader_engine().connect() as connection:
            person = find_person(connection, "ana")
            exported = export_person(connection, person, rows_about(connection, person, now), now)
        assert any("2000-01-01" in json.dumps(one["lookups"]) for one in exported["events"])
        context = world.usher.orchestrator.context
        await erase_person(Access(context.read, context.writer.run), "ana", by="maria", now=now)
        (join,) = world.events(type="participant_joined", participant_role="caller")
        assert document(join["lookups"]) is None


def test_rules_that_name_a_lookup_that_is_not_asked_are_warned_of(database: Database) -> None:
    database.execute(
        """INSERT INTO lookups (name, pattern, url) VALUES
           ('customers', '{}', 'https://crm.test/'), ('bad', '{"room": 1}', 'https://bad.test/')"""
    )
    database.execute("INSERT INTO lookups (name, pattern, url, enabled) VALUES ('off', '{}', 'https://x.test/', false)")
    for name, pattern, metadata in (
        ("good", {"lookup": {"customers": {"tier": ["gold"]}}}, {"$eval": "lookup.customers_status"}),
        ("typo", {"lookup": {"custmers_status": ["ok"]}}, None),
        ("template", {}, "${lookup.customer.name}"),
        ("bracket", {}, {"a": [{"$eval": "lookup['customr'].name"}]}),
        ("text", {}, {"see": "https://lookup.acme.com", "$${lookup.x}": "lookup.x", "y": "$${lookup.z}"}),
        ("string", {}, "${participant.lookup.x}${'lookup.x'}${lookup[\"customers\"].name}"),
        ("disabled", {"lookup": {"off": {"x": [1]}}}, None),
        ("unusable", {"lookup": {"bad": {"x": [1]}}}, None),
    ):
        values = {"name": name, "pattern": json.dumps(pattern), "metadata": json.dumps(metadata) if metadata else None}
        database.execute(
            "INSERT INTO routing_rules (name, pattern, agent_name, metadata, on_match)"
            " VALUES (:name, :pattern, 'a', :metadata, 'continue')",
            **values,
        )
    with database.reader_engine().connect() as connection:
        book = read_book(connection)
    found = {
        rule.name: [
            (one.path, one.suggestion) for one in rule_warnings(book, rule) if one.kind is WarningKind.UNKNOWN_LOOKUP
        ]
        for rule in book.rules
    }
    assert found == {
        "good": [],
        "typo": [("lookup.custmers_status", "customers")],
        "template": [("metadata", "customers")],
        "bracket": [("metadata", "customers")],
        "text": [],
        "string": [],
        "disabled": [("lookup.off.x", None)],
        "unusable": [("lookup.bad.x", None)],
    }
    assert not any(one.path.startswith("lookup") for one in rule_warnings(book, book.rules[0]))
