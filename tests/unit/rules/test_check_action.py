"""What a rule's action needs, what does not go with it, and what is probably wrong."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.book.rule_book import BadRule, RuleBook
from app.rules.check import check_rule
from app.rules.warnings.rule_warnings import WarningKind, rule_warnings

RULE: dict[str, Any] = {"name": "a", "pattern": {"participant": {"kind": ["SIP"]}}}
TO = {"transfer_to": "tel:+34911222333"}


@pytest.mark.parametrize(
    "columns",
    [
        {"agent_name": "x"},
        {"action": "dispatch", "agent_name": "x", "on_no_show": "remove"},
        {"agent_name": "x", "on_no_show": "transfer", **TO},
        {"action": "ignore"},
        {"action": "ignore", "agent_name": None, "fallbacks": None},
        {"action": "remove"},
        {"action": "transfer", **TO},
        {"action": "transfer", "on_match": "continue", "transfer_to": "sip:desk@example.com"},
        {"action": "transfer", "transfer_to": "sip:+34911222333@sip.example.com:5060;transport=tls"},
        {"action": "transfer", "transfer_to": "tel:911;phone-context=+34"},
    ],
)
def test_an_action_with_what_it_needs_is_no_problem(columns: dict[str, Any]) -> None:
    row = {**RULE, **columns}
    assert check_rule(row) == []
    (line,) = RuleBook.build([{**row, "id": 1}], 1).lines()
    assert not isinstance(line, BadRule)


@pytest.mark.parametrize(
    ("columns", "path", "message"),
    [
        ({}, "agent_name", "is required"),
        ({"action": "dispatch", "agent_name": None}, "agent_name", "is required"),
        ({"action": "ignore", "agent_name": "x"}, "agent_name", "must be left out with action ignore"),
        ({"action": "remove", "agent_name": "x"}, "agent_name", "must be left out with action remove"),
        ({"action": "transfer", "agent_name": "x", **TO}, "agent_name", "must be left out with action transfer"),
        ({"action": "transfer"}, "transfer_to", "is required with action transfer"),
        ({"agent_name": "x", "on_no_show": "transfer"}, "transfer_to", "is required with on_no_show transfer"),
        ({"action": "ignore", "on_match": "continue"}, "on_match", "must be stop with action ignore"),
        ({"action": "remove", "on_match": "continue"}, "on_match", "must be stop with action remove"),
        ({"action": "ignore", "on_no_show": "remove"}, "on_no_show", "must be wait with action ignore"),
        ({"action": "hang up"}, "action", "must be dispatch or ignore or remove or transfer"),
        ({"agent_name": "x", "on_no_show": "later"}, "on_no_show", "must be wait or remove or transfer"),
    ],
)
def test_what_cannot_work_is_refused_with_the_column_and_what_to_do(
    columns: dict[str, Any], path: str, message: str
) -> None:
    problems = check_rule({**RULE, **columns})
    assert [problem.path for problem in problems if message in problem.message] == [path], problems


def test_fallbacks_do_not_go_with_another_action() -> None:
    (problem,) = check_rule({**RULE, "action": "ignore", "fallbacks": ["x"]})
    assert (problem.path, "must be left out" in problem.message) == ("fallbacks", True)


@pytest.mark.parametrize(
    ("value", "suggestion"),
    [
        ("+34 911 222 333", "tel:+34911222333"),
        ("TEL:+34911222333", "tel:+34911222333"),
        ("desk@example.com", "sip:desk@example.com"),
        ("https://example.com", None),
        ("tel:", None),
        ("sip:", None),
        ("tel:desk", None),
        ("sip:desk@", None),
    ],
)
def test_an_address_that_is_none_is_refused_with_the_nearest(value: str, suggestion: str | None) -> None:
    (problem,) = check_rule({**RULE, "action": "transfer", "transfer_to": value})
    assert (problem.path, problem.suggestion) == ("transfer_to", suggestion)


def kinds(**columns: Any) -> list[WarningKind]:
    book = RuleBook.build([{**RULE, "id": 1, **columns}], 1)
    return [one.kind for one in rule_warnings(book, book.rules[0])]


@pytest.mark.parametrize(
    ("pattern", "warns"),
    [
        ({"participant": {"kind": ["SIP"]}}, False),
        ({"participant": {"attributes": {"sip.trunkPhoneNumber": ["+34911"]}}}, False),
        ({"participant": {"kind": ["SIP", "STANDARD"]}}, True),
        ({"participant": {"kind": [{"anything-but": ["STANDARD"]}]}}, True),
        ({"participant": {"metadata": {"language": ["es"]}}}, True),
        ({"participant": {"attributes": {"sip.trunkPhoneNumber": [{"exists": False}]}}}, True),
        ({"$or": [{"participant": {"kind": ["SIP"]}}, {"room": {"name": ["a"]}}]}, True),
    ],
)
@pytest.mark.parametrize("columns", [{"action": "transfer"}, {"agent_name": "x", "on_no_show": "transfer"}])
def test_a_transfer_of_callers_who_may_not_be_on_the_phone_is_a_warning(
    pattern: dict[str, Any], warns: bool, columns: dict[str, Any]
) -> None:
    assert (WarningKind.NOT_A_PHONE in kinds(pattern=pattern, **columns, **TO)) == warns


def test_what_has_no_effect_is_a_warning() -> None:
    assert kinds(action="ignore", metadata={"a": 1}) == [WarningKind.NO_EFFECT]
    assert kinds(agent_name="x", **TO) == [WarningKind.NO_EFFECT]
    assert kinds(agent_name="x", metadata={"a": 1}) == []
