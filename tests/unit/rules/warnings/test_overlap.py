"""Rules of equal priority that one event can match."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from app.rules import RuleBook
from app.rules.warnings.overlap import tied_rule
from app.rules.warnings.rule_warnings import WarningKind, saved_rule_warnings
from app.rules.warnings.unseen import Traffic
from tests.unit.rules.books import make_row, random_pattern

SPANISH = {"participant": {"metadata": {"language": ["es"]}}}
SUPPORT = {"participant": {"metadata": {"department": ["support"]}}}


def tied(one: Any, other: Any, **columns: Any) -> bool:
    book = RuleBook.build([make_row(1, one), make_row(2, other, **columns)], 1)
    assert not book.bad
    first, second = book.rule(1), book.rule(2)
    assert first is not None
    assert second is not None
    found = tied_rule(book, first), tied_rule(book, second)
    assert found in [(None, None), (second, first)]
    return found != (None, None)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (SPANISH, SPANISH, False),  # shadowed
        (SPANISH, SUPPORT, True),
        ({"participant": {"metadata": {"language": ["es"], "department": ["support"]}}}, SPANISH, True),
        ({}, SPANISH, False),  # shadowed
        (SPANISH, {}, True),
        (SPANISH, {"participant": {"metadata": {"language": ["en"]}}}, False),
        (SPANISH, {"participant": {"metadata": {"language": [{"anything-but": "es"}]}}}, False),
        (SPANISH, {"participant": {"metadata": {"language": [{"prefix": "e"}]}}}, True),
        (SPANISH, {"event": ["participant_joined"], **SPANISH}, False),  # shadowed
        (SPANISH, {"participant": {"metadata": {"language": [{"exists": False}]}}}, False),
        ({"room": {"name": [{"prefix": "a"}]}}, {"room": {"name": [{"prefix": "b"}]}}, False),
        ({"room": {"name": [{"prefix": "a"}]}}, {"room": {"name": ["bee", "apple"]}}, True),
        (SPANISH, {"event": ["participant_left"], **SUPPORT}, False),
        (SPANISH, {"event": ["participant_joined", "participant_left"], **SUPPORT}, True),
        (SPANISH, {"participant": {"role": ["callee"]}}, False),
        (SPANISH, {"participant": {"role": ["caller"]}}, True),
        ({"participant": {"kind": ["SIP"]}}, SPANISH, True),
        ({"$or": [{"room": {"name": ["x"]}}, SPANISH]}, SUPPORT, True),
    ],
)
def test_rules_of_equal_priority_that_one_event_can_match_are_tied(one: Any, other: Any, expected: bool) -> None:
    assert tied(one, other) is expected


@pytest.mark.parametrize("columns", [{"priority": 50}, {"priority": 101}, {"enabled": False}])
def test_rules_in_a_decided_order_are_not_tied(columns: dict[str, Any]) -> None:
    assert not tied(SPANISH, SUPPORT, **columns)


def test_a_rule_after_one_that_lets_others_match_is_not_tied() -> None:
    book = RuleBook.build([make_row(1, SPANISH, on_match="continue"), make_row(2, SUPPORT)], 1)
    second = book.rule(2)
    assert second is not None
    assert tied_rule(book, second) is None


def test_the_warning_names_both_rules_and_their_order() -> None:
    book = RuleBook.build([make_row(1, SPANISH), make_row(2, SUPPORT)], 1)
    second = book.rule(2)
    assert second is not None
    (warning,) = [one for one in saved_rule_warnings(book, second, Traffic()) if one.kind is WarningKind.PRIORITY_TIE]
    assert warning.path == "priority"
    assert "'rule 1'" in warning.message
    assert "'rule 1' is tried first" in warning.message


def test_among_many_rules_few_are_compared() -> None:
    rows = [make_row(number, random_pattern(Random(number))) for number in range(1, 3000)]
    book = RuleBook.build(rows, 1)
    rule = book.rule(2999)
    assert rule is None or tied_rule(book, rule) is None or tied_rule(book, rule) is not rule
