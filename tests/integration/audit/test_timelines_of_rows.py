"""Timelines, explanations and calls: what an operations person reads, from rows as the flows write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.audit import CallFilter, CallState, StepKind, explain, get_dispatch, get_event, list_calls, timeline
from app.errors import NotFoundError
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, attempt_row, caller_row, change_row, dispatch_row, event_row, store


def _story(steps: Any) -> list[str]:
    """Return a line for each step: seconds since the joining, what happened, why."""
    since = ["" if step.seconds_since_joining is None else f"{step.seconds_since_joining:g}" for step in steps]
    return [f"{seconds} | {step.title} | {step.reason}" for seconds, step in zip(since, steps, strict=True)]


def _answered_call(connection: Connection) -> dict[str, Any]:
    """Store a phone call that was answered at the second call to LiveKit, and is over."""
    opened = event_row(at(0), type="room_started", participant_identity="", participant_sid="", outcome="ignored",
                       participant_kind="", decision={})  # fmt: skip
    joined = event_row(at(1), participant_identity="sip_1", participant_sid="PA_1", phone_number="+34600111222")
    agent = event_row(at(3), participant_identity="agent-AJ_1", participant_sid="PA_agent", participant_kind="AGENT",
                      outcome="ignored", decision={"rules_version": 1, "matched": []})  # fmt: skip
    left = event_row(at(63), type="participant_left", participant_identity="sip_1", participant_sid="PA_1",
                     outcome="ignored", decision={"rules_version": 1, "matched": []})  # fmt: skip
    left["body"]["participant"]["disconnectReason"] = "CLIENT_INITIATED"
    gone = event_row(at(64), type="participant_left", participant_identity="agent-AJ_1", participant_sid="PA_agent",
                     participant_kind="AGENT", outcome="ignored", decision={})  # fmt: skip
    order = dispatch_row(
        at(1.01), joined, agent_sid="PA_agent", agent_identity="agent-AJ_1", job_id="AJ_1", attempts=2,
        livekit_dispatch_id="AD_1", joined_at=at(3), dispatched_at=at(2.504), ended_at=at(64),
    )  # fmt: skip
    changes = [
        change_row(at(1.01), order, None, "sending", reason="rule 'spanish' matched"),
        change_row(at(2), order, "sending", "pending", reason="LiveKit refused: internal: no"),
        change_row(at(2.5), order, "pending", "sending", reason="claimed for a call to LiveKit"),
        change_row(at(2.504), order, "sending", "dispatched", reason="LiveKit accepted the dispatch"),
        change_row(at(3), order, "dispatched", "joined", reason="the agent is in the room"),
        change_row(at(64), order, "joined", "ended", reason="the agent left (CLIENT_INITIATED)"),
    ]
    attempts = [
        attempt_row(at(1.02), order, 1, "rejected", error_code="internal", error_text="no"),
        attempt_row(at(2.5), order, 2, "accepted", livekit_dispatch_id="AD_1"),
    ]
    store(
        connection,
        event_rows=[opened, joined, agent, left, gone],
        dispatch_rows=[order],
        callers=[caller_row(order, joined, at(63))],
        attempts=attempts,
        changes=changes,
    )
    return {"joined": joined, "order": order, "agent": agent, "left": left}


def test_an_answered_call_is_shown_from_the_first_webhook_to_the_last(database: Database) -> None:
    with database.writer_engine().begin() as connection:
        rows = _answered_call(connection)
    with database.reader_engine().connect() as connection:
        found = timeline(connection, "sip_1")
        others = [
            timeline(connection, reference)
            for reference in (
                rows["joined"]["id"], rows["left"]["id"], rows["joined"]["livekit_id"], rows["order"]["id"], "PA_1",
                "+34600111222", "agent-AJ_1", rows["agent"]["id"], " sip_1 ",
            )
        ]  # fmt: skip
    assert found.summary == ("support-es joined sip_1 after 2.0 s; the call has ended: the agent left.")
    assert _story(found.steps) == [
        " | room support-1 was opened | ",
        "0 | sip_1 joined room support-1, calling from +34600111222 | ",
        "0 | rule 'spanish' matched | ",
        "0.01 | a dispatch of support-es is created | rule 'spanish' matched",
        "0.02 | LiveKit is asked to dispatch support-es (call 1) | refused after 3 ms: internal: no",
        "1 | the call is retried | LiveKit refused: internal: no",
        "1.5 | the dispatch is sent | claimed for a call to LiveKit",
        "1.5 | LiveKit is asked to dispatch support-es (call 2) | accepted as AD_1 after 3 ms",
        "1.504 | waiting for the agent | LiveKit accepted the dispatch; it has 15 s to join",
        "2 | agent support-es (agent-AJ_1) joined room support-1 | ",
        "2 | support-es joined | the agent is in the room",
        "62 | sip_1 left | hung up (CLIENT_INITIATED)",
        "63 | agent support-es (agent-AJ_1) left | ",
        "63 | the dispatch of support-es has ended | the agent left (CLIENT_INITIATED)",
    ]
    assert [step.seconds_since_previous for step in found.steps[:4]] == [None, 1.0, 0.0, 0.01]
    assert found.call.left_at == at(63)
    # Whatever of the call is named, the same call is found
    for other in others:
        assert (other.call, other.steps) == (found.call, found.steps)
    assert json.loads(json.dumps(found.to_json()))["call"]["seconds_to_agent"] == 2.0


def test_a_no_show_is_shown_with_its_cause(database: Database) -> None:
    joined = event_row(at(0))
    order = dispatch_row(at(0.01), joined, status="no_show", attempts=2, asked_agent_name="reception", rung=1,
                         fallbacks=[{"agent_name": "reception", "answer_timeout_s": 15, "max_attempts": 1}], reason="reception did not join: no worker took it; nobody else to ask")  # fmt: skip  # noqa: E501
    changes = [
        change_row(at(0.01), order, None, "sending", reason="rule 'spanish' matched"),
        change_row(at(0.02), order, "sending", "dispatched", reason="LiveKit accepted the dispatch"),
        change_row(at(15), order, "dispatched", "dispatched", reason="its agent is overdue; checking LiveKit"),
        change_row(at(15.1), order, "dispatched", "pending", reason="support-es did not join: no worker took it"),
        change_row(at(30), order, "dispatched", "no_show", reason=order["reason"]),
        change_row(at(60), order, "no_show", "pending", reason="redriven by hand", by="maria"),
    ]
    attempts = [attempt_row(at(0.015), order, 1, "no_show", livekit_dispatch_id="AD_9")]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[joined], dispatch_rows=[order], callers=[caller_row(order, joined)],
              attempts=attempts, changes=changes)  # fmt: skip
    with database.reader_engine().connect() as connection:
        found = timeline(connection, order["id"])
        whole = get_dispatch(connection, order["id"])
    assert found.call.state is CallState.NO_SHOW
    in_vain = "accepted as AD_9 after 3 ms, but no agent joined"
    assert found.summary == "no agent joined ana: reception did not join: no worker took it; nobody else to ask."
    assert _story(found.steps)[2:] == [
        "0.01 | a dispatch of support-es is created | rule 'spanish' matched",
        f"0.015 | LiveKit is asked to dispatch support-es (call 1) | {in_vain}",
        "0.02 | waiting for the agent | LiveKit accepted the dispatch; it has 15 s to join",
        "15 | still waiting for the agent | its agent is overdue; checking LiveKit",
        "15.1 | the next attempt begins | support-es did not join: no worker took it",
        "30 | no agent joined | reception did not join: no worker took it; nobody else to ask",
        "60 | the dispatch is retried | redriven by hand",
    ]
    assert found.steps[-1].by == "maria"
    assert [line.to_state for line in whole.changes][-2:] == ["no_show", "pending"]
    assert whole.to_json()["calls"][0]["livekit_dispatch_id"] == "AD_9"


def test_what_served_others_before_is_no_part_of_a_later_callers_timeline(database: Database) -> None:
    # Given an agent that came for ana, a replacement of it, and bob who joined in between
    ana = event_row(at(0), participant_sid="PA_ana")
    bob = event_row(at(100), participant_identity="bob", participant_sid="PA_bob", outcome="served")
    first = dispatch_row(at(0), ana, joined_at=at(1), reason="the agent is gone; it is being replaced", recover="lost")
    second = dispatch_row(
        at(200), ana, status="joined", joined_at=at(201), replaces=first["id"], replaces_kind="recovery", recoveries=1
    )
    bob["decision"] = {"rules_version": 1, "matched": [{"rule_id": 1, "rule": "spanish"}], "served_by": [first["id"]]}
    changes = [
        change_row(at(0), first, None, "sending", reason="rule 'spanish' matched"),
        change_row(at(200), first, "joined", "ended", reason=first["reason"]),
        change_row(at(200), second, None, "pending", reason=f"replaces the agent of dispatch {first['id']}"),
        change_row(at(201), second, "dispatched", "joined", reason="the agent is in the room"),
    ]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[ana, bob], dispatch_rows=[first, second],
              callers=[caller_row(first, ana), caller_row(first, bob)], changes=changes)  # fmt: skip
    with database.reader_engine().connect() as connection:
        found = timeline(connection, "bob")
    assert found.summary == "support-es was already in the room when bob joined."
    assert _story(found.steps) == [
        "0 | bob joined room support-1 | ",
        "0 | rule 'spanish' matched | another dispatch already serves this caller with that agent",
        "100 | the dispatch of support-es has ended | the agent is gone; it is being replaced",
        f"100 | a dispatch of support-es is created | replaces the agent of dispatch {first['id']}",
        "101 | support-es joined | the agent is in the room",
    ]


def test_late_swept_and_passed_over_joins_say_so(database: Database) -> None:
    late = event_row(at(10), occurred_at=at(3), participant_sid="PA_1", outcome="no_match",
                     decision={"rules_version": 1, "matched": [], "passed_over": [
                         {"rule_id": 1, "rule": "nights", "outcome": "out_of_hours"}]})  # fmt: skip
    swept = event_row(at(30), occurred_at=at(0), participant_identity="bob", participant_sid="PA_2", source="sweep")
    gone = event_row(at(31), participant_identity="eve", participant_sid="PA_3", outcome="ignored",
                     decision={"rules_version": 1, "matched": [], "reason": "the participant had left already"},
                     )  # fmt: skip
    changed = event_row(at(32), occurred_at=at(31.8), type="participant_updated", participant_identity="zoe",
                        participant_sid="PA_4", source="sweep", outcome="ignored")  # fmt: skip
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[late, swept, gone, changed])
    with database.reader_engine().connect() as connection:
        ana, bob, eve, zoe = (timeline(connection, name) for name in ("ana", "bob", "eve", "zoe"))
    assert _story(ana.steps) == [
        "0 | ana joined room support-1 | the webhook arrived 7.0 s late",
        "0 | no rule matched | 'nights' would have matched, but is out of hours",
    ]
    assert ana.summary == "no agent joined ana, because no rule matched."
    assert (
        _story(bob.steps)[0]
        == "0 | bob was found in room support-1 | by the sweep, 30.0 s later; no webhook had arrived"
    )
    assert _story(zoe.steps)[0] == (
        "0 | the metadata or attributes of zoe changed | found by the sweep; LiveKit sends no webhook about changes"
    )
    assert _story(eve.steps)[1] == "0 | no agent was dispatched | the participant had left already"
    assert eve.call.state is CallState.IGNORED


@pytest.mark.parametrize(
    "reference", ["", " ", "nobody", "'; DROP TABLE events; --", "a\0b", "\ud800", "%", "é" * 5000]
)
def test_what_is_not_known_is_said_so(database: Database, reference: str) -> None:
    with database.reader_engine().connect() as connection:
        for ask in (timeline, explain, get_event, get_dispatch):
            with pytest.raises(NotFoundError):
                ask(connection, reference)


def test_an_explanation_covers_the_rules_of_that_time_and_the_current_rules(database: Database) -> None:
    # Given three rules, a caller whom none matched, and a fourth rule made since
    for name, pattern in (
        ("spanish", '{"participant": {"metadata": {"language": ["es"]}}}'),
        ("rooms", '{"room": {"name": [{"prefix": "sales-"}]}}'),
    ):
        database.execute(
            "INSERT INTO routing_rules (name, pattern, agent_name) VALUES (:name, :pattern, 'support-es')",
            name=name, pattern=pattern,
        )  # fmt: skip
    database.execute(
        "INSERT INTO routing_rules (name, priority, enabled, pattern, agent_name)"
        " VALUES ('off', 5, :no, :pattern, 'x')",
        pattern='{"event": ["room_started"]}',
        no=False,
    )
    joined = event_row(at(0), outcome="no_match", rules_version=3, decision={"rules_version": 3, "matched": []})
    joined["body"]["participant"]["metadata"] = '{"language": "en"}'
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[joined])
    database.execute("UPDATE routing_rules SET priority = 1 WHERE name = 'rooms'")
    database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('everybody', :pattern, 'reception')",
        pattern='{"event": ["participant_joined"]}',
    )
    # When it is explained
    with database.reader_engine().connect() as connection:
        why = explain(connection, "ana")
    # Then in the order of then, each with the condition that failed and what was there
    assert [(one.rule, one.words) for one in why.rules] == [
        ("off", "is disabled"),
        ("spanish", 'participant.metadata.language: expected "es", found "en"'),
        ("rooms", 'room.name: expected a string that starts with "sales-", found "support-1"'),
    ]
    assert why.matched == ()
    assert why.doubt == ""
    assert [one.rule for one in why.matching_now or ()] == ["everybody"]
    assert why.timeline.call.state is CallState.NO_MATCH
    assert json.loads(json.dumps(why.to_json()))["rules"][1]["found"] == ['"en"']


def test_an_explanation_that_cannot_be_what_was_decided_says_so(sqlite_database: Database) -> None:
    # Given an event whose stored body lacks what its rule had matched
    sqlite_database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('vip', :pattern, 'gold')",
        pattern='{"participant": {"metadata": {"tier": ["gold"]}}}',
    )
    joined = event_row(at(0), decision={"rules_version": 1, "matched": [{"rule_id": 1, "rule": "vip"}]})
    with sqlite_database.writer_engine().begin() as connection:
        store(connection, event_rows=[joined])
    with sqlite_database.reader_engine().connect() as connection:
        why = explain(connection, joined["id"])
    assert why.doubt == (
        "'vip' matched when the event arrived, no rule matches the stored event: that lacks what USHER_REDACT leaves "
        "out and what was erased or hashed since, or another version of Usher evaluated it"
    )


def test_an_adopted_dispatch_is_shown_as_adopted(database: Database) -> None:
    joined = event_row(at(0), participant_identity="ana")
    order = dispatch_row(at(0), joined, status="dispatched", attempts=1, livekit_dispatch_id="AD_2")
    attempts = [
        attempt_row(at(0), order, 0, "adopted", livekit_dispatch_id="AD_1"),
        attempt_row(at(1), order, 1, "adopted", livekit_dispatch_id="AD_2", error_code="timeout", error_text="none"),
    ]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[joined], dispatch_rows=[order], callers=[], attempts=attempts, changes=[])
    with database.reader_engine().connect() as connection:
        steps = [one for one in timeline(connection, order["id"]).steps if one.kind is StepKind.CALL]
    assert [(one.title, one.reason) for one in steps] == [
        ("the access token asked LiveKit to dispatch support-es", "LiveKit already had the dispatch as AD_1"),
        (
            "LiveKit is asked to dispatch support-es (call 1)",
            "no clear answer after 3 ms (timeout: none); LiveKit already had the dispatch as AD_2",
        ),
    ]


CALLS = {
    "waiting": [("dispatched", "accepted")],
    "no_show": [("joined", "agent_joined"), ("no_show", "no_agent")],
    "failed": [("failed", "template_failed")],
    "answered": [("ended", "agent_left"), ("joined", "agent_joined")],
    "abandoned": [("cancelled", "caller_left")],
    "cancelled": [("cancelled", "cancelled_by_hand")],
    "ended": [("ended", "agent_left")],
    "no_match": [],
}


def test_calls_are_listed_by_how_they_stand(database: Database) -> None:
    # Given one call of each state, with agents that joined among them
    rows, orders, callers = [], [], []
    for number, (name, states) in enumerate(CALLS.items()):
        joined = event_row(at(number), participant_identity=name, outcome="planned" if states else "no_match",
                           phone_number=f"+{number}", room_name=f"room {number % 2}")  # fmt: skip
        rows.append(joined)
        rows.append(event_row(at(number), participant_kind="AGENT", outcome="ignored"))
        for status, cause in states:
            order = dispatch_row(at(number), joined, status=status, cause=cause, agent_name=f"agent {number % 3}",
                                 joined_at=at(number + 2) if status in {"joined", "ended"} else None)  # fmt: skip
            orders.append(order)
            callers.append(caller_row(order, joined, at(number + 9) if name == "abandoned" else None))
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=rows, dispatch_rows=orders, callers=callers)
    with database.reader_engine().connect() as connection:
        everything = list_calls(connection, CallFilter()).items
        one = {name: list_calls(connection, CallFilter(states={CallState(name)})).items for name in CALLS}
        found = {name: timeline(connection, name).call for name in CALLS}
        by_agent = list_calls(connection, CallFilter(agent="agent 1", room="room 1")).items
        by_number = list_calls(connection, CallFilter(phone_number="+3")).items
        nobody = list_calls(connection, CallFilter(identity="nobody", states={CallState.WAITING}))
    # Then each is found under its state alone, and the list tells of it what its timeline tells
    assert [(call.participant_identity, call.state) for call in everything] == [(n, n) for n in reversed(CALLS)]
    for name in CALLS:
        assert [call.participant_identity for call in one[name]] == [name]
        assert one[name][0].state == found[name].state == name
        assert one[name][0].seconds_to_agent == found[name].seconds_to_agent
    assert one["abandoned"][0].left_at == at(CALLS_PLACE["abandoned"] + 9)
    assert [call.participant_identity for call in by_agent] == ["no_show"]
    assert [call.participant_identity for call in by_number] == ["answered"]
    assert (nobody.items, nobody.next_cursor) == ((), None)


CALLS_PLACE = {name: place for place, name in enumerate(CALLS)}


def test_a_reader_cannot_write(sqlite_database: Database) -> None:
    with sqlite_database.reader_engine().connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.execute(text("DELETE FROM events"))
