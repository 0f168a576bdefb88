"""The decision about one event: order, stop and continue, and a reason for every rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.rules import RuleBook, evaluate
from app.rules.book.decision import Outcome
from tests.unit.rules.books import NOON, make_event, make_row

CALL: dict[str, Any] = {
    "event": "participant_joined",
    "room": {"name": "support-1"},
    "participant": {
        "identity": "ana",
        "kind": "SIP",
        "metadata": {"language": "es", "orders": [{"id": 1, "state": "open"}, {"id": 2, "state": "shut"}]},
        "attributes": {"sip.trunkPhoneNumber": "+15557654321", "sip.ruleID": "SDR_1"},
    },
}
SUPPORT = {"room": {"name": [{"prefix": "support-"}]}}
CONTINUE = {"on_match": "continue"}


def book(*rows: dict[str, Any]) -> RuleBook:
    built = RuleBook.build(rows, 7)
    assert len(built.rules) + len(built.bad) == len(rows)
    return built


def names(rules: Any) -> list[str]:
    return [rule.name for rule in rules]


def test_rules_are_tried_by_priority_then_id_until_one_stops() -> None:
    rules = book(
        make_row(1, SUPPORT, priority=200),
        make_row(5, SUPPORT, priority=100, **CONTINUE),
        make_row(3, SUPPORT, priority=100, **CONTINUE),
        make_row(9, SUPPORT, priority=-1, **CONTINUE),
        make_row(7, SUPPORT, priority=150),
    )
    assert [rule.id for rule in rules.rules] == [9, 3, 5, 7, 1]
    decision = evaluate(rules, make_event(CALL))
    assert [rule.id for rule in decision.matched] == [9, 3, 5, 7]
    assert decision.rules_version == 7


def test_a_rule_matches_once_however_many_of_its_alternatives_do() -> None:
    pattern = {
        "$or": [SUPPORT, {"participant": {"kind": ["SIP"]}}, {"participant": {"metadata": {"language": ["es"]}}}]
    }
    assert names(evaluate(book(make_row(1, pattern, **CONTINUE)), make_event(CALL)).matched) == ["rule 1"]


def test_every_rule_has_a_verdict_and_says_why() -> None:
    rules = book(
        make_row(1, {"room": {"name": ["sales-1"]}}),
        make_row(2, SUPPORT, enabled=False),
        make_row(3, SUPPORT, active_hours="Sa-Su", timezone="Europe/Madrid"),
        make_row(4, SUPPORT, rollout_percent=0),
        make_row(5, {"room": {"name": 5}}),
        make_row(6, {"participant": {"attributes": {"tier": ["gold"]}}}),
        make_row(7, SUPPORT, **CONTINUE),
        make_row(8, {"participant": {"metadata": {"language": ["es", "ca"]}}}),
        make_row(9, SUPPORT),
        make_row(10, {"room": {"name": ["lobby"]}}),
        make_row(11, {"participant": {"metadata": {"orders": {"id": [2], "state": ["open"]}}}}),
        make_row(12, {"event": ["room_started"]}),
    )
    decision = evaluate(rules, make_event(CALL), explain=True)
    assert names(decision.matched) == ["rule 7", "rule 8"]
    assert decision.verdicts is not None
    verdicts = {verdict.rule_id: (verdict.outcome, verdict.describe()) for verdict in decision.verdicts}
    assert verdicts == {
        1: (Outcome.PATTERN, 'room.name: expected "sales-1", found "support-1"'),
        2: (Outcome.DISABLED, "is disabled"),
        3: (Outcome.OUT_OF_HOURS, "would match, but is out of hours: Sa-Su (Europe/Madrid)"),
        4: (
            Outcome.OUTSIDE_ROLLOUT,
            "would match, but this one is outside its rollout: 0 % by participant.identity",
        ),
        5: (
            Outcome.BAD,
            (
                "cannot be used: pattern.room.name: must be a list of values or an object of fields, found 5."
                " Did you mean '[5]'?"
            ),
        ),
        6: (Outcome.PATTERN, 'participant.attributes.tier: expected "gold", found nothing'),
        7: (Outcome.MATCHED, "matched"),
        8: (Outcome.MATCHED, "matched"),
        9: (Outcome.SHADOWED, "would match, but rule 'rule 8' before it ended the search"),
        10: (Outcome.PATTERN, 'room.name: expected "lobby", found "support-1"'),
        11: (
            Outcome.PATTERN,
            (
                "participant.metadata.orders.id, participant.metadata.orders.state: expected all of these to hold in"
                " the same array element, found each only in different elements"
            ),
        ),
        12: (Outcome.PATTERN, 'event: expected "room_started", found "participant_joined"'),
    }
    assert [verdict.rule_id for verdict in decision.verdicts] == sorted(verdicts)
    assert decision.explain()[0] == 'rule 1: room.name: expected "sales-1", found "support-1"'
    assert json.dumps([verdict.to_json() for verdict in decision.verdicts])


@pytest.mark.parametrize(
    ("condition", "value", "words"),
    [
        ({"prefix": "sales-"}, "x", 'a string that starts with "sales-"'),
        ({"suffix": "-es"}, "x", 'a string that ends with "-es"'),
        ({"equals-ignore-case": "Gold"}, "x", 'a string that equals "Gold" in any case'),
        ({"prefix": {"equals-ignore-case": "Gold"}}, "x", 'a string that starts with "Gold" in any case'),
        ({"wildcard": "a*b"}, "x", 'a string like "a*b"'),
        ({"anything-but": ["x", "y"]}, "x", 'anything but "x", "y"'),
        ({"anything-but": {"prefix": "x"}}, "x", 'anything but a string that starts with "x"'),
        ({"numeric": [">", 1, "<=", 5]}, 7, "a number > 1 and <= 5"),
        ({"numeric": ["=", 300]}, 7, "the number 300"),
        ({"cidr": "10.0.0.0/8"}, "x", "an address in 10.0.0.0/8"),
        ("10.0.0.1", "x", "the address 10.0.0.1"),
        ({"exists": False}, "x", "no value"),
        (True, False, "true"),
        (None, 0, "null"),
    ],
)
def test_what_was_expected_is_said_in_words(condition: Any, value: Any, words: str) -> None:
    document = CALL | {"room": {"name": value}}
    decision = evaluate(book(make_row(1, {"room": {"name": [condition]}})), make_event(document), explain=True)
    assert decision.verdicts is not None
    (verdict,) = decision.verdicts
    assert verdict.mismatch is not None
    assert (verdict.mismatch.path, verdict.mismatch.expected) == ("room.name", words)


def test_the_defaults_are_named_as_reasons() -> None:
    agent = {"event": "participant_joined", "participant": {"kind": "AGENT"}, "room": {"name": "support-1"}}
    left = CALL | {"event": "participant_left"}
    rules = book(make_row(1, SUPPORT))
    for document, path in ((agent, "participant.role"), (left, "event")):
        decision = evaluate(rules, make_event(document), explain=True)
        assert decision.verdicts is not None
        assert decision.verdicts[0].mismatch is not None
        assert decision.verdicts[0].mismatch.path == path
        assert "because the pattern names" in decision.verdicts[0].describe()


def test_of_several_alternatives_the_nearest_is_explained() -> None:
    near = {"room": {"name": ["support-1"]}, "participant": {"kind": ["SIP"], "metadata": {"language": ["fr"]}}}
    rules = book(make_row(1, {"$or": [{"room": {"name": ["lobby"]}}, near, {"project": ["other"]}]}))
    decision = evaluate(rules, make_event(CALL), explain=True)
    assert decision.explain() == ['rule 1: participant.metadata.language: expected "fr", found "es"']


def test_hours_are_evaluated_at_the_time_of_the_event() -> None:
    rules = book(make_row(1, SUPPORT, active_hours="Mo-Fr 09:00-13:00", timezone="Europe/Madrid"), make_row(2, SUPPORT))
    assert names(evaluate(rules, make_event(CALL, NOON.replace(hour=11))).matched) == ["rule 1"]
    late = evaluate(rules, make_event(CALL, NOON))
    assert names(late.matched) == ["rule 2"]
    assert [(verdict.rule_id, verdict.outcome) for verdict in late.passed_over] == [(1, Outcome.OUT_OF_HOURS)]


def test_what_is_stored_is_small_however_many_rules_there_are() -> None:
    rows = [make_row(n, SUPPORT, active_hours="Sa-Su") for n in range(1, 3000)]
    rows += [make_row(n, SUPPORT, **CONTINUE) for n in range(3000, 6000)]
    decision = evaluate(book(*rows), make_event(CALL))
    stored = decision.to_json()
    assert len(decision.matched) == 3000
    assert stored["matched_in_all"] == 3000
    assert len(json.dumps(stored)) < 8_000
    assert stored["matched"][0] == {"rule_id": 3000, "rule": "rule 3000"}
    assert stored["passed_over"][0]["outcome"] == "out_of_hours"


def test_long_values_are_shortened_in_reasons() -> None:
    document = CALL | {"room": {"name": ["x" * 10_000, "y", "z", "w", "v"]}}
    decision = evaluate(book(make_row(1, {"room": {"name": ["lobby"]}})), make_event(document), explain=True)
    assert decision.verdicts is not None
    assert len(decision.verdicts[0].describe()) < 600
    assert decision.verdicts[0].describe().endswith("and 2 more")


def test_a_null_participant_or_kind_is_no_machine() -> None:
    rules = book(make_row(1, SUPPORT))
    for participant in (None, {"kind": None}, {}):
        event = make_event(CALL | {"participant": participant})
        assert names(evaluate(rules, event).matched) == ["rule 1"]
