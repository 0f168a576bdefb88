"""Patterns and events made to be slow or huge cost bounded work.

Work is counted in calls, which are the same on every machine, idle or busy. What happens inside one call of the
standard library, such as a regular expression, is judged by how its time grows with the text.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules import PatternError, RuleBook, check_pattern, evaluate, matches
from app.rules.language.limits import MAX_WORK
from tests.unit.rules.books import make_event, make_row


def calls(work: Callable[[], Any]) -> int:
    """Return how many functions `work` calls, those of the standard library included."""
    count = 0

    def count_call(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(count_call)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def seconds(work: Callable[[], Any]) -> float:
    """Return the least processor time of five runs."""
    spans = []
    for _ in range(5):
        started = time.process_time()
        work()
        spans.append(time.process_time() - started)
    return min(spans)


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"$or": [{"a": leaf}, {"b": [1]}]}
    return leaf


HUGE: dict[str, Any] = {
    "$or beside $or": {f"f{n}": {"$or": [{"a": [1]}, {"b": [2]}]} for n in range(3000)},
    "$or within $or": nested(60, {"c": [1]}),
    "wide $or": {"$or": [{"a": [n]} for n in range(100_000)]},
    "values": {"a": [{"anything-but": list(range(500_000))}]},
    "match types": {"a": [{"wildcard": "*a" * 40}] * 9_000},
    "mistakes": {f"f{n}": "x" for n in range(100_000)},
    "dots": {".".join("abcdefgh" * 500): [1]},
    "any case": {"a": [{"suffix": {"equals-ignore-case": "ß" * 4000}}]},
}


@pytest.mark.parametrize("pattern", HUGE.values(), ids=HUGE)
def test_a_huge_pattern_is_read_or_refused_with_bounded_work(pattern: Any) -> None:
    assert calls(lambda: check_pattern(pattern)) < 5_000_000
    assert len(check_pattern(pattern)) <= 100


@pytest.mark.parametrize(
    "value",
    [
        {"wildcard": "*a" * 64 + "b"},
        {"wildcard": "*" + "a*" * 62 + "b*"},
        {"suffix": {"equals-ignore-case": "ß" * 1000}},
        {"prefix": {"equals-ignore-case": "ß" * 4000}},
        {"equals-ignore-case": "ŉ" * 4000},
        {"anything-but": {"wildcard": ["*a" * 60 + "c"] * 50}},
    ],
)
@pytest.mark.parametrize("letter", ["a", "ß", "S"])
def test_time_grows_no_faster_than_the_text(value: Any, letter: str) -> None:
    def take(length: int) -> float:
        return seconds(lambda: matches({"a": [value]}, {"a": letter * length}))

    # Four times the text: quadratic time would take 16 times as long. What takes less than 1 ms is fast enough.
    assert take(65_536) < 10 * max(take(16_384), 0.001)


def deep_list(depth: int) -> Any:
    node: Any = "x"
    for _ in range(depth):
        node = [node]
    return node


@pytest.mark.parametrize(
    "pattern",
    [
        {"a": deep_list(20_000)},
        {"a": [{"anything-but": deep_list(20_000)}]},
        {"a": [{"numeric": deep_list(20_000)}]},
        {"a": {1: ["x"]}},
        {"a": [{1: "x"}]},
        {"a": [{("x",): "x"}]},
        {"a": [datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, b"x", object()]},
        {"a": [{"prefix": b"x"}, {"exists": "x" * 100_000}, {"anything-but": {"prefix": object()}}]},
        {1: ["x"]},
        {"a": [{"numeric": [">", 10**5000]}]},
        {"a": [{"numeric": ["<", float("nan")]}]},
    ],
    ids=range(11),
)
def test_patterns_that_are_hardly_json_are_refused_briefly(pattern: Any) -> None:
    problems = check_pattern(pattern)
    assert problems
    assert len(str(problems)) < 3_000


def test_numbers_beyond_all_measure_equal_only_themselves() -> None:
    assert matches({"a": [10**5000]}, {"a": 10**5000})
    assert not matches({"a": [10**5000]}, {"a": 10**5000 + 1})
    assert matches({"a": [{"anything-but": 1}]}, {"a": 10**5000})
    assert not matches({"a": [{"numeric": [">", 1]}]}, {"a": 10**5000})
    assert matches({"a": [float("inf")]}, {"a": float("inf")})


def test_large_arrays_cost_linear_time() -> None:
    orders = [{"id": n, "state": "open" if n % 2 else "shut", "lines": [{"n": n, "m": -n}] * 3} for n in range(2000)]
    pattern = {"orders": {"id": [{"numeric": [">=", 1999]}], "state": ["open"], "lines": {"n": [1999], "m": [-1999]}}}
    never = {"orders": {"id": [{"exists": True}], "state": ["gone", "open"], "lines": {"n": [7], "m": [-9]}}}
    assert matches(pattern, {"orders": orders})
    assert not matches(never, {"orders": orders})
    part = [*orders[:250], *orders[1750:]]
    for one in (pattern, never):
        quarter = calls(lambda one=one: matches(one, {"orders": part}))  # type: ignore[misc]
        assert calls(lambda one=one: matches(one, {"orders": orders})) < 5 * quarter  # type: ignore[misc]


def test_independent_arrays_do_not_multiply() -> None:
    def document(size: int) -> dict[str, Any]:
        return {f"a{n}": [{"x": 1, "y": m} for m in range(size)] for n in range(10)}

    pattern = {f"a{n}": {"x": [1], "y": [{"numeric": [">=", 0]}]} for n in range(9)} | {"a9": {"x": [1], "y": [-1]}}
    assert not matches(pattern, document(300))
    assert calls(lambda: matches(pattern, document(300))) < 4 * calls(lambda: matches(pattern, document(100)))


def test_arrays_that_lie_between_each_other_are_given_up_after_bounded_work() -> None:
    names = ["P" + "!" * n for n in range(8)]
    inner = {name: [[m] for m in range(20)] + [{"x": m} for m in range(20)] for name in names}
    document = {"o": [inner] * 5}
    pattern = {
        "o": {name: [{"numeric": [">=", 0]}] for name in names} | {f"{name}.x": [{"exists": False}] for name in names}
    }
    assert calls(lambda: matches(pattern, document)) < 1_000_000


def test_deep_documents_are_no_problem() -> None:
    node: Any = "x"
    for _ in range(20_000):
        node = [node]
    deep: Any = "x"
    for _ in range(20_000):
        deep = {"a": deep}
    assert matches({"a": ["x"]}, {"a": node})
    assert not matches({"a": {"a": ["x"]}}, {"a": deep})


def test_a_hostile_event_among_many_rules_is_evaluated_with_bounded_work() -> None:
    rows = [
        make_row(number, {"a": {"x": [{"wildcard": f"*{number}*z"}], "y": [{"anything-but": number}]}})
        for number in range(1, 400)
    ]
    rows += [
        make_row(1000 + number, {"a": {"x": [{"exists": True}], "y": [{"numeric": [">", 10**7 + number]}]}})
        for number in range(1, 400)
    ]
    book = RuleBook.build(rows, 1)
    event = make_event({"event": "participant_joined", "a": [{"x": str(n) * 5, "y": n} for n in range(3000)]})
    assert calls(lambda: evaluate(book, event)) < 20 * MAX_WORK
    assert calls(lambda: evaluate(book, event, explain=True)) < 100 * MAX_WORK


def test_work_used_up_by_arrays_leaves_other_rules_alone() -> None:
    rows = [
        make_row(number, {"a": {"x": [{"exists": True}], "y": [-number]}, "b": [{"anything-but": number}]})
        for number in range(1, 1500)
    ]
    rows.append(make_row(5000, {"room": {"name": ["lobby"]}}))
    book = RuleBook.build(rows, 1)
    event = make_event(
        {
            "event": "participant_joined",
            "room": {"name": "lobby"},
            "a": [{"x": n, "y": n} for n in range(3000)],
            "b": 0,
        }
    )
    assert [rule.id for rule in evaluate(book, event).matched] == [5000]


leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)


def structures_of(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["$or", "a", "prefix", "anything-but", "numeric", "", "a.b"])
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    )


@settings(max_examples=300, deadline=None)
@given(structures_of(leaf | st.binary(max_size=3)), structures_of(leaf))  # SQLite may hold bytes as a pattern
def test_whatever_it_is_it_is_used_or_refused(pattern: Any, document: Any) -> None:
    if check_pattern(pattern):
        with pytest.raises(PatternError):
            matches(pattern, {})
    else:
        matches(pattern, document if isinstance(document, dict) else {"a": document})
    book = RuleBook.build([make_row(1, pattern), make_row(2, {"a": ["x"]})], 1)
    assert 2 not in book.bad
