"""Lists of calls in a state: those that a dispatch decides, and those without one, on one list in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from app.audit import (
    CallFilter,
    CallHead,
    CallOutcome,
    CallState,
    count_rule_hits,
    known_rules,
    last_hits,
    list_calls,
    timeline,
)
from app.audit.call_lists import call_list
from app.audit.calls.call import read_call
from app.simulator.phones import STATUS
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

DESK = "tel:+34911222333"
PHONE = {"sip.ruleID": "SDR_1"}
STATES = {
    "spam": CallState.REMOVED,
    "moved": CallState.TRANSFERRED,
    "web": CallState.FAILED,  # no phone, so that it cannot be transferred
    "broken": CallState.FAILED,
    "ringing": CallState.WAITING,
    "left": CallState.CANCELLED,
    "awaiting": CallState.WAITING,  # for an agent that nobody runs
    "away": CallState.ABANDONED,
    "ana": CallState.ANSWERED,
    "nobody": CallState.NO_MATCH,
    "not us": CallState.IGNORED,
    "gone": CallState.IGNORED,  # hung up while its lookup was asked
    "slow": CallState.WAITING,  # its lookup is asked
}


def to(world: World, identity: str, agent_name: str | None, **columns: Any) -> None:
    """Insert a rule for one caller, of its name."""
    world.rule(identity, agent_name, {"participant": {"identity": [identity]}}, **columns)


async def callers_in_every_state(world: World) -> None:
    """Let one caller come to each of `STATES`, oldest first."""
    to(world, "spam", None, action="remove")
    for identity in ("moved", "web", "ringing", "left"):
        to(world, identity, None, action="transfer", transfer_to=DESK)
    to(world, "broken", "greeter", metadata={"$eval": "participant.nothing"})
    world.rule("slow", "greeter", {"lookup": {"crm": {"tier": ["gold"]}}})
    world.lookup("crm", {"participant": {"identity": ["slow", "gone"]}}, timeout_ms=3_000)
    world.services.answer("crm", {"tier": "gold"}, after=2.9)
    for identity in ("awaiting", "away"):
        to(world, identity, "absent", answer_timeout_s=60)
    to(world, "ana", "greeter")
    to(world, "not us", None, action="ignore")
    world.simulator.add_worker("greeter")
    for identity in STATES:
        if identity == "slow":
            world.simulator.phones.hang_up("room of left", "left")
            world.simulator.leave("room of away", "away")
            await world.wait(5)
        phone = {"moved": "active", "ringing": "ringing", "left": "ringing"}.get(identity)
        options: dict[str, Any] = {"kind": "SIP", "attributes": {**PHONE, STATUS: phone}} if phone else {}
        world.simulator.join(f"room of {identity}", identity, **options)
        await world.wait(0.2)
        if identity == "gone":
            world.simulator.leave("room of gone", "gone")


def pages(connection: Connection, chosen: CallFilter, limit: int) -> Iterator[CallHead]:
    cursor = None
    while True:
        page = list_calls(connection, chosen, limit=limit, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


@in_virtual_time
async def test_each_state_lists_its_calls(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_list, "_AT_ONCE", 2)
    async with World(database) as world:
        await callers_in_every_state(world)
        newest_first = list(reversed(STATES.items()))
        with database.reader_engine().connect() as connection:
            for limit in (1, 2, 100):
                for state in CallState:
                    listed = [one.participant_identity for one in pages(connection, CallFilter(states={state}), limit)]
                    assert listed == [identity for identity, its in newest_first if its is state], state
                both = CallFilter(states={CallState.FAILED, CallState.REMOVED}, project="default")
                assert [one.participant_identity for one in pages(connection, both, limit)] == ["broken", "web", "spam"]
            waiting = {CallState.WAITING}
            assert list(pages(connection, CallFilter(states=waiting, project="other"), 5)) == []
            narrower: list[dict[str, Any]] = [{"identity": "ringing"}, {"room": "room of ringing"}, {"q": "ring"}]
            for narrow in (*narrower, {"search": "ringing"}):
                found = list(pages(connection, CallFilter(states=waiting, **narrow), 5))
                assert [one.participant_identity for one in found] == ["ringing"], narrow
            for needs in (CallFilter(states=waiting, rule="awaiting"), CallFilter(states=waiting, agent="absent")):
                assert [one.participant_identity for one in pages(connection, needs, 5)] == ["awaiting"], needs
            for of_rule in (CallFilter(rule="moved"), CallFilter(rule="moved", states={CallState.TRANSFERRED})):
                (moved,) = pages(connection, of_rule, 5)
                assert (moved.participant_identity, moved.rules) == ("moved", ("moved",))
            assert list(pages(connection, CallFilter(rule="moved", states=waiting), 5)) == []
            assert list(pages(connection, CallFilter(rule="moved", outcome=CallOutcome.JOINED), 5)) == []
            (ringing,) = pages(connection, CallFilter(states=waiting, identity="ringing"), 5)
            later = CallFilter(states=waiting, since=ringing.joined_at)
            assert [one.participant_identity for one in pages(connection, later, 5)] == ["slow", "awaiting", "ringing"]
            before = CallFilter(states=waiting, until=ringing.joined_at)
            assert list(pages(connection, before, 5)) == []


@in_virtual_time
async def test_a_call_that_was_redriven_after_its_transfer_is_listed_once(database: Database) -> None:
    # Given a caller who cannot be transferred, to whom a later rule sends an agent that nobody runs
    async with World(database) as world:
        world.rule("moved", None, action="transfer", transfer_to=DESK, on_match="continue", priority=1)
        world.rule("all", "absent", answer_timeout_s=600)
        world.simulator.join("room", "web")
        await world.until(lambda: world.rows("SELECT id FROM caller_actions WHERE status = 'failed'"))
        with database.reader_engine().connect() as connection:
            # Then the dispatch says how the call stands
            assert list(pages(connection, CallFilter(states={CallState.FAILED}), 5)) == []
            assert len(list(pages(connection, CallFilter(states={CallState.WAITING}), 5))) == 1

        # And once it has failed, too, the call is listed for both at once
        database.execute("UPDATE dispatches SET status = 'failed', next_attempt_at = NULL")
        with database.reader_engine().connect() as connection:
            for limit in (1, 5):
                assert len(list(pages(connection, CallFilter(states={CallState.FAILED}), limit))) == 1


@in_virtual_time
async def test_a_rule_that_acts_on_callers_has_hits_and_its_calls(database: Database) -> None:
    async with World(database) as world:
        world.rule("spam callers", None, action="remove", priority=1)
        world.rule("all", "absent", answer_timeout_s=3, max_attempts=1, on_no_show="remove")
        world.simulator.join("room", "ana")
        await world.until(lambda: world.rows("SELECT id FROM caller_actions WHERE status = 'done'"))
        database.execute("UPDATE routing_rules SET enabled = :no WHERE name = 'spam callers'", no=False)
        world.simulator.join("other", "eva")
        await world.until(lambda: world.rows("SELECT id FROM caller_actions WHERE dispatch_id IS NOT NULL"), within=30)
        with database.reader_engine().connect() as connection:
            hits = count_rule_hits(connection)
            last = last_hits(connection, ["spam callers", "all", "other"])
            assert {rule_id: one.count for rule_id, one in hits.items()} == {1: 1, 2: 1}
            assert last["spam callers"] == hits[1].last_at is not None
            assert (last["all"] is None, last["other"]) == (False, None)
            assert known_rules(connection) == ["all", "spam callers"]
            for found_by in (CallFilter(rule="spam callers"), CallFilter(q="spam c"), CallFilter(q="SPAM CALLERS")):
                (call,) = pages(connection, found_by, 5)
                assert (call.participant_identity, call.rules) == ("ana", ("spam callers",))
            assert [one.participant_identity for one in pages(connection, CallFilter(rule="all"), 5)] == ["eva"]


@in_virtual_time
async def test_the_sentence_about_a_call_says_what_was_to_be_done(database: Database) -> None:
    async with World(database) as world:
        await callers_in_every_state(world)
        with database.reader_engine().connect() as connection:
            said = {one: timeline(connection, one).summary for one in ("ringing", "web", "left", "slow", "awaiting")}
    assert said["ringing"].startswith("ringing is to be removed or transferred: ")
    assert said["web"].startswith("web could not be removed or transferred: only phone calls ")
    assert said["left"] == "left was neither removed nor transferred: the caller has left."
    assert said["slow"].startswith("slow is waiting for an agent: ")
    assert said["awaiting"].startswith("awaiting is waiting for absent: ")


@in_virtual_time
async def test_callers_who_were_ignored_are_listed_by_that_state_or_where_they_are_sought(database: Database) -> None:
    async with World(database) as world:
        await callers_in_every_state(world)
        with database.reader_engine().connect() as connection:

            def listed(**chosen: Any) -> list[str]:
                return [one.participant_identity for one in pages(connection, CallFilter(**chosen), 5)]

            everybody = listed()
            assert "not us" not in everybody
            assert "gone" not in everybody
            assert listed(states={CallState.IGNORED, CallState.NO_MATCH}) == ["gone", "not us", "nobody"]
            for how in ("q", "search", "identity"):
                assert listed(**{how: "gone"}) == ["gone"], how
                assert listed(**{how: "gone"}, states={CallState.IGNORED}) == ["gone"], how
                assert listed(**{how: "gone"}, states={CallState.FAILED}) == [], how
            for ignored_or_not in ({CallState.IGNORED}, {CallState.NO_MATCH}, {CallState.IGNORED, CallState.NO_MATCH}):
                assert listed(states=ignored_or_not, agent="greeter") == []
                assert listed(states=ignored_or_not, rule="ana") == []
                assert listed(states=ignored_or_not, outcome=CallOutcome.JOINED) == []
            for how in ("q", "search", "room"):
                assert listed(**{how: "room of not us"}) == ["not us"], how
                assert listed(**{how: "room of ana"}) == ["ana"], how  # not its agent
            gone, not_us = pages(connection, CallFilter(states={CallState.IGNORED}), 5)
            assert (gone.reason, not_us.reason) == ("the participant had left already", "rule 'not us' ignores it")
            assert gone.left_at is not None
            assert gone.left_at == read_call(connection, gone.event_id).head.left_at
            assert not_us.left_at is None


@in_virtual_time
async def test_a_list_says_when_a_caller_left_whom_no_agent_served(database: Database) -> None:
    async with World(database) as world:
        for identity in ("ana", "bob"):
            world.simulator.join(f"room of {identity}", identity)
        await world.wait(1)
        world.simulator.leave("room of ana", "ana")
        await world.wait(1)
        with database.reader_engine().connect() as connection:
            bob, ana = pages(connection, CallFilter(states={CallState.NO_MATCH}), 5)
            assert (bob.participant_identity, bob.left_at) == ("bob", None)
            assert ana.left_at is not None
            assert ana.left_at == read_call(connection, ana.event_id).head.left_at
