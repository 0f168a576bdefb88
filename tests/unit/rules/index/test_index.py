"""The index only saves work: with and without it the decision is the same, however the book came about."""

from __future__ import annotations

from random import Random

import pytest

from app.rules import Decision, RuleBook, evaluate
from tests.unit.rules.books import make_event, make_row, random_document, random_row
from tests.workload.rules_shapes import SHAPES, Shape, hit, miss, rows


def matched(decision: Decision) -> list[int]:
    return [rule.id for rule in decision.matched]


@pytest.mark.parametrize("size", [1, 7, 60, 400])
@pytest.mark.parametrize("seed", range(4))
def test_deciding_by_index_equals_judging_every_rule(size: int, seed: int) -> None:
    random = Random(seed)
    book = RuleBook.build([random_row(random, rule_id) for rule_id in range(1, size + 1)], 1)
    assert not book.bad
    found = 0
    for _ in range(30):
        event = make_event(random_document(random))
        quick, thorough = evaluate(book, event), evaluate(book, event, explain=True)
        assert matched(quick) == matched(thorough)
        # Up to where the search ended; what comes after is judged only when explaining.
        passed_over = {verdict.rule_id for verdict in quick.passed_over}
        assert passed_over <= {verdict.rule_id for verdict in thorough.passed_over}
        found += bool(quick.matched)
    assert found or size < 60


@pytest.mark.parametrize("seed", range(4))
def test_an_edited_book_equals_one_built_from_the_same_rows(seed: int) -> None:
    random = Random(seed)
    rows = {rule_id: random_row(random, rule_id) for rule_id in range(1, 120)}
    book = RuleBook.build(rows.values(), 0)
    events = [make_event(random_document(random)) for _ in range(12)]
    for version in range(1, 14):
        before = book
        answers = [matched(evaluate(before, event)) for event in events]
        edited = [random_row(random, random.choice([*rows, max(rows) + 1])) for _ in range(random.choice([1, 1, 3]))]
        deleted = random.sample(sorted(rows), min(len(rows) - 1, random.choice([0, 1, 1, 9])))
        for rule_id in deleted:
            rows.pop(rule_id)
        rows.update({row["id"]: row for row in edited})
        book = before.updated(edited, deleted, version)
        fresh = RuleBook.build(rows.values(), version)
        assert [rule.id for rule in book.rules] == [rule.id for rule in fresh.rules]
        assert [matched(evaluate(book, event)) for event in events] == [
            matched(evaluate(fresh, event)) for event in events
        ]
        assert [matched(evaluate(before, event)) for event in events] == answers


def test_a_book_emptied_rule_by_rule_is_empty() -> None:
    random = Random(5)
    rows = [random_row(random, rule_id) for rule_id in range(1, 300)]
    book = RuleBook.build(rows, 0)
    for row in random.sample(rows, len(rows)):
        book = book.updated([], [row["id"]], 1)
    assert len(book) == 0
    assert list(book.rules) == []
    assert evaluate(book, make_event(random_document(random))).matched == ()


def test_many_rules_under_one_value_are_tried_by_priority_then_id() -> None:
    rows = [
        make_row(rule_id, {"room": {"name": ["lobby"]}}, priority=rule_id % 7, on_match="continue")
        for rule_id in range(1, 3000)
    ]
    book = RuleBook.build(reversed(rows), 1)
    decision = evaluate(book, make_event({"event": "participant_joined", "room": {"name": "lobby"}}))
    assert [(rule.priority, rule.id) for rule in decision.matched] == sorted(
        (rule_id % 7, rule_id) for rule_id in range(1, 3000)
    )


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_large_books_of_one_shape_decide_as_evaluating_every_rule_does(shape: Shape) -> None:
    random = Random(1)
    made = rows(shape, 2500)
    book = RuleBook.build(made, 1)
    events = [hit(), miss()]
    for version in range(2, 5):
        for event in events:
            assert matched(evaluate(book, event)) == matched(evaluate(book, event, explain=True))
        gone = [row["id"] for row in random.sample(made, 800)] + [6]
        book = book.updated([], gone, version)
        made = [row for row in made if row["id"] not in set(gone)]
        assert len(book) == len(made)
    book = book.updated([], [row["id"] for row in made], 9)
    assert not len(book)
    assert not evaluate(book, hit()).matched
