"""Callers who were ignored are found as others are, and by the rule that ignored them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from app.audit import CallFilter, CallState, iterate_calls, known_rules
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

BY_RULE = {
    "matched": [{"rule_id": 1, "rule": "Spam callers", "action": "ignore"}],
    "reason": "rule 'Spam callers' ignores it",
}
LEFT = {"matched": [{"rule_id": 2, "rule": "Spam and others"}], "reason": "the participant had left already"}


@pytest.fixture
def stored(database: Database) -> dict[str, Any]:
    """Callers ignored by a rule or otherwise, a phone that was dialled, an agent, and a call with a dispatch."""
    ignored = {
        "web": {"participant_identity": "Mallory.Long", "participant_name": "Mällory", "room_name": "Lobby-9"},
        "phone": {"participant_identity": "sip_1", "room_name": "c-1", "phone_number": "+34699123456",
                  "trunk_number": "sip:+15557654321@trunk", "participant_kind": "SIP"},
    }  # fmt: skip
    common = {"outcome": "ignored", "participant_role": "caller"}
    rows = {
        key: event_row(at(number), **common, participant_sid=f"PA_{key}", decision=BY_RULE, **given)
        for number, (key, given) in enumerate(ignored.items())
    }
    rows["gone"] = event_row(at(3), **common, participant_sid="PA_gone", participant_identity="mal", decision=LEFT)
    rows["dialled"] = event_row(at(4), participant_sid="PA_dialled", participant_identity="sip_malta",
                                outcome="ignored", participant_role="callee", participant_kind="SIP")  # fmt: skip
    rows["agent"] = event_row(at(5), participant_sid="PA_agent", participant_identity="mallory-agent",
                              outcome="ignored", participant_role="agent", participant_kind="AGENT",
                              decision=BY_RULE)  # fmt: skip
    rows["served"] = event_row(at(6), participant_sid="PA_served", participant_identity="other")
    made = dispatch_row(at(6.01), rows["served"], rule_name="Spam callers", status="no_show")
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[*rows.values()], dispatch_rows=[made])
    return rows


def found(connection: Connection, **chosen: Any) -> list[str]:
    return [one.participant_sid.removeprefix("PA_") for one in iterate_calls(connection, CallFilter(**chosen))]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("states", [frozenset(), frozenset({CallState.IGNORED})])
def test_they_are_found_by_what_their_names_and_numbers_begin_or_end_with(
    database: Database, states: frozenset[CallState]
) -> None:
    wanted = {
        "mallory.l": ["web"], "MÄLL": ["web"], "lobby": ["web"], "mal": ["gone", "web"], "sip_mal": ["dialled"],
        "+34 699 123 456": ["phone"], "3456": ["phone"], "+1 (555) 765-4321": ["phone"], "4321": ["phone"],
    }  # fmt: skip
    with database.reader_engine().connect() as connection:
        for q, keys in wanted.items():
            assert found(connection, q=q, states=states) == keys, q


@pytest.mark.usefixtures("stored")
def test_they_are_found_by_the_rule_that_ignored_them(database: Database) -> None:
    ignored, others = frozenset({CallState.IGNORED}), frozenset({CallState.NO_SHOW})
    with database.reader_engine().connect() as connection:
        assert found(connection, rule="Spam callers") == ["served", "phone", "web"]
        assert found(connection, rule="Spam callers", states=ignored) == ["phone", "web"]
        assert found(connection, rule="Spam callers", states=others) == ["served"]
        assert found(connection, q="spam c", states=ignored) == ["phone", "web"]
        assert found(connection, rule="Spam", states=ignored) == []
        assert known_rules(connection)[0] == "Spam and others"
        assert "Spam callers" in known_rules(connection)
        calls = {one.participant_sid: one for one in iterate_calls(connection, CallFilter(states=ignored))}
        assert calls["PA_web"].rules == ("Spam callers",)
        assert calls["PA_gone"].rules == ()


@pytest.mark.usefixtures("stored")
def test_a_phone_that_was_dialled_says_why_it_got_no_agent(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        (call,) = iterate_calls(connection, CallFilter(q="sip_malta"))
        assert call.reason == "no rule matched the phone that was dialled"
