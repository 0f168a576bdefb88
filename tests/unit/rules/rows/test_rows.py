"""A pattern is shown as rows that mean the same, and rows become the pattern that a person would write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.rules.language.pattern import PatternError, full_pattern, read_pattern
from app.rules.rows.lines import Line, describe_rows, lines_of, read_lines
from app.rules.rows.operator import GROUPS, MEANINGS, Operator
from app.rules.rows.rows import BeyondRows, Rows, pattern_of, rows_of, same_meaning
from tests.unit.rules.language.random_patterns import good_lists, patterns, value_lists

LANGUAGE = "participant.metadata.language"


def in_any_order(rows: Rows | BeyondRows) -> Any:
    """Return rows without the order within a group, which means nothing: objects keep fields together."""
    assert isinstance(rows, Rows)
    return [sorted(group, key=lambda row: row.field) for group in (rows.always, *rows.groups)]


def nested(*items: Any) -> dict[str, Any]:
    return {"participant": {"metadata": {"language": list(items)}}}


CASES = [
    ("is", "es, ca", ["es", "ca"]),
    ("is", '300, "300", true, null', [300, "300", True, None]),
    ("is", "+34600111222, 007, 3-5", ["+34600111222", "007", "3-5"]),
    ("is", '"a, b", "", " c", "\\"d\\""', ["a, b", "", " c", '"d"']),
    ("is-not", "es, ca", [{"anything-but": ["es", "ca"]}]),
    ("is-not", "1, 2.5", [{"anything-but": [1, 2.5]}]),
    ("begins", "e, 3", [{"prefix": "e"}, {"prefix": "3"}]),
    ("ends", "-ES", [{"suffix": "-ES"}]),
    ("contains", "a*b\\c", [{"wildcard": "*a\\*b\\\\c*"}]),
    ("wildcard", "call-*-es", [{"wildcard": "call-*-es"}]),
    ("not-begins", "e", [{"anything-but": {"prefix": "e"}}]),
    ("not-ends", "e, f", [{"anything-but": {"suffix": ["e", "f"]}}]),
    ("not-contains", "x", [{"anything-but": {"wildcard": "*x*"}}]),
    ("not-wildcard", "a*b", [{"anything-but": {"wildcard": "a*b"}}]),
    ("is-any-case", "Gold", [{"equals-ignore-case": "Gold"}]),
    ("is-not-any-case", "Gold, Silver", [{"anything-but": {"equals-ignore-case": ["Gold", "Silver"]}}]),
    ("begins-any-case", "VIP-", [{"prefix": {"equals-ignore-case": "VIP-"}}]),
    ("ends-any-case", "-vip", [{"suffix": {"equals-ignore-case": "-vip"}}]),
    ("number-is", "5", [{"numeric": ["=", 5]}]),
    ("less", "5", [{"numeric": ["<", 5]}]),
    ("at-most", "5", [{"numeric": ["<=", 5]}]),
    ("greater", "-0.5", [{"numeric": [">", -0.5]}]),
    ("at-least", "5", [{"numeric": [">=", 5]}]),
    ("between", "1, 5", [{"numeric": [">=", 1, "<=", 5]}]),
    ("strictly-between", "1, 5", [{"numeric": [">", 1, "<", 5]}]),
    ("from-until-below", "1, 5", [{"numeric": [">=", 1, "<", 5]}]),
    ("above-up-to", "1, 5", [{"numeric": [">", 1, "<=", 5]}]),
    ("exists", "", [{"exists": True}]),
    ("absent", "", [{"exists": False}]),
    ("network", "10.0.0.0/8, 2001:db8::/32", [{"cidr": "10.0.0.0/8"}, {"cidr": "2001:db8::/32"}]),
    ("exactly", "10.0.0.1", [{"exactly": "10.0.0.1"}]),
]


@pytest.mark.parametrize(("operator", "values", "items"), CASES)
def test_a_line_is_written_as_the_match_type_and_read_back(operator: str, values: str, items: list[Any]) -> None:
    line = Line(field=LANGUAGE, operator=operator, values=values)
    rows, problems = read_lines([line])
    assert problems == []
    assert pattern_of(rows) == nested(*items)
    again = rows_of(nested(*items))
    assert again == rows
    assert isinstance(again, Rows)
    assert lines_of(again) == [line]


def test_every_operator_is_offered_once_and_tested() -> None:
    assert sorted(one for _, operators in GROUPS for one in operators) == sorted(Operator)
    assert set(MEANINGS) == set(Operator)
    assert {operator for operator, _, _ in CASES} == set(Operator)


def test_an_or_line_is_one_more_test_of_the_field_above() -> None:
    lines = [
        Line(field="participant.attributes.plan", values="premium"),
        Line(operator="begins", values="gold", is_or=True),
        Line(field="room.name", operator="absent"),
    ]
    rows, problems = read_lines(lines)
    assert problems == []
    pattern = {
        "participant": {"attributes": {"plan": ["premium", {"prefix": "gold"}]}},
        "room": {"name": [{"exists": False}]},
    }
    assert pattern_of(rows) == pattern
    assert rows_of(pattern) == rows
    assert lines_of(rows) == lines


def test_groups_are_an_or_of_rows_beside_those_that_always_hold() -> None:
    lines = [
        Line(field="room.name", operator="begins", values="vip-"),
        Line(1, "participant.metadata.plan", "is", "gold"),
        Line(2, "participant.metadata.spent", "greater", "1000"),
        Line(2, "participant.metadata.blocked", "absent"),
    ]
    rows, problems = read_lines(lines)
    assert problems == []
    pattern = {
        "room": {"name": [{"prefix": "vip-"}]},
        "$or": [
            {"participant": {"metadata": {"plan": ["gold"]}}},
            {"participant": {"metadata": {"spent": [{"numeric": [">", 1000]}], "blocked": [{"exists": False}]}}},
        ],
    }
    assert pattern_of(rows) == pattern
    assert rows_of(pattern) == rows
    within = {"room": pattern["room"], "participant": {"metadata": {"$or": [
        {"plan": ["gold"]}, {"spent": [{"numeric": [">", 1000]}], "blocked": [{"exists": False}]}
    ]}}}  # fmt: skip
    assert rows_of(within) == rows, "an $or within objects is one of whole fields"


def test_rows_are_described_in_a_line() -> None:
    plans = {"plan": ["premium", {"prefix": "gold"}], "blocked": [{"exists": False}]}
    pattern = {"room": {"name": ["hall"]}, "$or": [{"participant": {"attributes": plans}}, {"x": [1]}]}
    rows = rows_of(pattern)
    assert isinstance(rows, Rows)
    assert describe_rows(rows) == (
        "room.name is one of hall and either (participant.attributes.plan is one of premium, or begins with gold and "
        "participant.attributes.blocked does not exist) or (x is one of 1)"
    )
    assert describe_rows(Rows()) == "every caller"


def test_a_single_group_is_no_choice_and_empty_ones_do_not_count() -> None:
    rows, problems = read_lines([Line(field="a", values="1"), Line(1), Line(2, "b", "is", "2"), Line(3)])
    assert problems == []
    assert pattern_of(rows) == {"a": [1], "b": [2]}


def test_no_rows_are_every_caller() -> None:
    assert rows_of({}) == Rows()
    assert pattern_of(Rows()) == {}
    assert read_lines([Line(), Line(1)]) == (Rows(), [])


def test_in_fields_that_livekit_sends_as_text_nothing_is_a_number() -> None:
    lines = [Line(field="participant.attributes.account", values="4410, true")]
    rows, _ = read_lines(lines)
    assert pattern_of(rows) == {"participant": {"attributes": {"account": ["4410", "true"]}}}
    assert lines_of(rows) == lines
    found = rows_of({"participant": {"attributes": {"account": [4410]}}})
    assert found == BeyondRows("participant.attributes.account is always a text, and it asks for 4410")


@pytest.mark.parametrize(
    "pattern",
    [
        {"a": ["x"], "a.b": ["y"]},
        {"$or": [{"metadata.prefix": ["x"]}, {"b": ["y"]}]},
        {".".join("a" * 40): [1]},
    ],
    ids=["a field above another", "a match type as a name in a group", "deeper than objects may be"],
)
def test_fields_that_objects_cannot_hold_keep_their_dots(pattern: dict[str, Any]) -> None:
    rows = rows_of(pattern)
    assert isinstance(rows, Rows)
    assert pattern_of(rows) == pattern


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ({"a": {"$or": [{"b": [1]}, {"c": [1]}]}, "$or": [{"d": [1]}, {"e": [1]}]}, "more than one $or"),
        ({"$or": [{"d": [1]}, {"$or": [{"e": [1]}, {"f": [1]}]}]}, "$or within $or"),
        ({"a": [1], "$or": [{"a": [2]}, {"b": [1]}]}, "names a twice"),
        ({"a": {"b": [1]}, "a.b": [2]}, "names a.b twice"),
        ({"$or": ["x"]}, "$or is the name of a field"),
        ({"a": "x"}, "it has mistakes: a: must be a list"),
        ({" a": ["x"]}, 'the name of the field " a" cannot be typed'),
        ({"a": ["x", {"anything-but": {"prefix": []}}]}, "anything-but without values"),
        ([], "it has mistakes: a pattern is a JSON object"),
    ],
)
def test_a_pattern_beyond_rows_says_why(pattern: Any, reason: str) -> None:
    found = rows_of(pattern)
    assert isinstance(found, BeyondRows)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ([Line(values="es")], [(0, "needs a field")]),
        ([Line(is_or=True, values="es")], [(0, "names no field, and there is none above it")]),
        ([Line(field="a")], [(0, "needs at least one value")]),
        ([Line(field="a", values=", ,")], [(0, "needs at least one value")]),
        ([Line(field="a", values='"es')], [(0, 'has a quotation mark without its end: "es')]),
        ([Line(field="a", values='"e" "s"')], [(0, 'needs a comma between the values, before "s"')]),
        ([Line(field="a", values='"\\x"')], [(0, "has a value that cannot be read: Invalid \\escape")]),
        ([Line(field="a", operator="less", values="few")], [(0, "takes a number, such as 5 or 2.5, not few")]),
        ([Line(field="a", operator="between", values="5")], [(0, "takes two numbers, such as 5, 10")]),
        ([Line(field="a", operator="between", values="5 to 1")], [(0, "needs the lower number first")]),
        ([Line(field="a", operator="sounds-like", values="x")], [(0, "has no such operator: sounds-like")]),
        ([Line(field="a..b", values="x")], [(0, "has no field's name: a..b")]),
        ([Line(field="$or", values="x")], [(0, "has no field's name: $or")]),
        (
            [Line(field="a", values="x"), Line(field="a", values="y")],
            [(1, "asks for a once more; a pattern can ask for a field once, so add an “or” line to the first")],
        ),
        (
            [Line(field="a", values="x"), Line(1, "a", "is", "y"), Line(2, "b", "is", "y")],
            [(1, "asks for a, which is asked for above the groups already")],
        ),
        (
            [Line(1, "a", "is", "y"), Line(field="a", values="x")],
            [(0, "asks for a, which is asked for above the groups already")],
        ),
    ],
)
def test_mistakes_are_reported_with_their_line(lines: list[Line], problems: list[tuple[int, str]]) -> None:
    found = [(one.place, one.message) for one in read_lines(lines)[1]]
    assert [(place, message.partition(": line")[0]) for place, message in found] == problems


@settings(max_examples=400, deadline=None)
@given(patterns(good_lists) | patterns(value_lists))
@example({"a": [-0.0, 1e300, 2**53 + 1, 10**400]})
@example({"a": [{"wildcard": "*a\\*"}, {"wildcard": "*\\\\*"}, {"wildcard": "*"}, {"wildcard": "**"[:1]}]})
@example({"a": [{"anything-but": {"wildcard": ["*a*", "a*"]}}, {"anything-but": {"wildcard": "*a*"}}]})
def test_rows_of_a_pattern_mean_the_same_and_are_written_back_the_same(pattern: dict[str, Any]) -> None:
    rows = rows_of(pattern)
    if isinstance(rows, BeyondRows):
        assert rows.reason != "rows would change its meaning"
        return
    again = pattern_of(rows)
    assert same_meaning(again, pattern)
    assert in_any_order(rows_of(again)) == in_any_order(rows)
    lines = lines_of(rows)
    assert read_lines(lines) == (rows, [])
    assert json.dumps(pattern_of(read_lines(lines)[0])) == json.dumps(again)


def test_most_random_patterns_of_one_level_can_be_shown() -> None:
    """So the property above is about rows, not about refusals."""
    for items in (["es", {"prefix": "a"}], [{"exists": False}], [True, None, 1.5], [{"anything-but": [1]}]):
        for pattern in ({"x": items}, {"x": {"y": items, "z": items}}, {"$or": [{"x": items}, {"y": items}]}):
            assert isinstance(rows_of(pattern), Rows), pattern


fields = st.sampled_from(["a", "a.b", "a.b.c", "c", "participant.attributes.a", "prefix"])
operators = st.sampled_from(list(Operator))
typed_values = st.text('ab1,*\\" é-.5\n', max_size=8) | st.sampled_from(["es, ca", "5", "1, 5", "true", "10.0.0.0/8"])
typed_lines = st.lists(st.builds(Line, st.integers(0, 3), fields | st.just(""), operators, typed_values, st.booleans()))


@settings(max_examples=400, deadline=None)
@given(typed_lines)
def test_whatever_is_typed_is_refused_or_survives_the_pattern(lines: list[Line]) -> None:
    rows, problems = read_lines(lines)
    pattern = pattern_of(rows)
    try:
        meant = read_pattern(full_pattern(pattern))
    except PatternError:
        return  # such as a backslash that escapes nothing: the check of the pattern reports it
    shown = rows_of(pattern)
    if problems or meant.or_is_field:
        return
    assert isinstance(shown, Rows)
    assert pattern_of(shown) == pattern
    assert read_lines(lines_of(shown)) == (shown, [])
