"""Whole rules are checked: everything at once, with paths, what is allowed, and the nearest spelling."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.db.tables import routing_rules
from app.rules.check import check_rule
from app.rules.columns import DEFAULTS, REQUIRED, WRITABLE, complete, matching_order

GOOD: dict[str, Any] = {
    "name": "spanish support",
    "pattern": {"participant": {"metadata": {"language": ["es"]}}},
    "agent_name": "support-es",
}
FULL: dict[str, Any] = {
    **GOOD,
    "id": 3,
    "description": "two\nlines",
    "enabled": False,
    "priority": -5,
    "metadata": {"lang": "es", "who": {"$eval": "participant.identity"}},
    "attributes": {"team": "${rule.name}"},
    "deployment": "blue-1.2",
    "scope": "participant",
    "on_match": "continue",
    "rollout_percent": 10,
    "rollout_key": "participant.attributes.sip.phoneNumber",
    "active_hours": "Mo-Fr 09:00-18:00; PH off",
    "timezone": "Europe/Madrid",
    "holidays": "ES",
    "answer_timeout_s": 30,
    "max_attempts": 1,
    "fallbacks": ["human desk"],
    "recover": "lost",
    "withdraw": True,
    "created_at": "2026-11-22T14:02:00Z",
    "updated_at": "2026-11-22T14:02:00Z",
    "updated_by": "ana",
}


def test_good_rules_have_no_problems() -> None:
    assert check_rule(GOOD) == []
    assert check_rule(FULL) == []
    assert check_rule({**DEFAULTS, **GOOD}) == []


def test_the_columns_are_those_of_the_table() -> None:
    assert list(complete(GOOD)) == list(WRITABLE)
    assert set(WRITABLE) == set(REQUIRED) | set(DEFAULTS)
    assert {"id", "created_at", "updated_at", "updated_by", *WRITABLE} == {
        column.name for column in routing_rules.columns
    }
    for column in routing_rules.columns:
        if column.name in DEFAULTS:
            assert column.nullable == (DEFAULTS[column.name] is None)


@pytest.mark.parametrize(
    ("column", "value", "message", "suggestion"),
    [
        ("name", "", "1 to 200 characters, found 0", None),
        ("name", "x" * 201, "found 201", None),
        ("name", " padded ", "one line", "padded"),
        ("name", "two\nlines", "one line", "two lines"),
        ("name", 7, "must be text, found a number", None),
        ("name", None, "must be text, found null", None),
        ("description", "x" * 10_001, "0 to 10000", None),
        ("description", "\0", "NUL", None),
        ("enabled", "yes", "true or false, found text", "true"),
        ("enabled", 0, "true or false, found a number", "false"),
        ("enabled", None, "leave it out for the default, True", None),
        ("priority", "10", "whole number", "10"),
        ("priority", "\u0663", "whole number", None),
        ("priority", 10.0, "whole number", "10"),
        ("priority", True, "whole number", None),
        ("priority", 2**31, "whole number", "1000000"),
        ("priority", None, "default, 100", None),
        ("pattern", [], "", None),
        ("pattern", "{}", "", None),
        ("agent_name", "", "1 to 256", None),
        ("agent_name", "x" * 257, "1 to 256", None),
        ("deployment", "my prod", "letters, digits, dots and hyphens", "my-prod"),
        ("deployment", "", "1 to 63", None),
        ("deployment", "x" * 64, "1 to 63", "x" * 63),
        ("deployment", 5, "must be text", None),
        ("scope", "rooms", "room or participant", "room"),
        ("scope", "Participant", "room or participant", "participant"),
        ("scope", "caller", "room or participant", None),
        ("scope", None, "room or participant", None),
        ("on_match", "cont", "stop or continue", None),
        ("on_match", "Stop", "stop or continue", "stop"),
        ("rollout_percent", 101, "from 0 to 100", "100"),
        ("rollout_percent", -1, "from 0 to 100", "0"),
        ("rollout_percent", "50%", "from 0 to 100", "50"),
        ("rollout_percent", 0.5, "from 0 to 100", None),
        ("rollout_key", "a..b", "dotted path", None),
        ("rollout_key", ["a"], "must be text, found a list", None),
        ("active_hours", "9-18", "opening-hours syntax", "09:00-18:00"),
        ("active_hours", 24, "must be text", None),
        ("timezone", "Madrid", "no IANA time zone", "Europe/Madrid"),
        ("timezone", None, "default, 'UTC'", None),
        ("holidays", "UK", "no country", "GB"),
        ("answer_timeout_s", 0, "from 1 to 3600", "1"),
        ("answer_timeout_s", "15s", "from 1 to 3600", None),
        ("max_attempts", 101, "from 1 to 100", "100"),
        ("fallbacks", [""], "1 to 256", None),
        ("fallbacks", "reception", "a list of agents, found text", '["reception"]'),
        ("fallbacks", ["a", 7], "the name of an agent or an object, found a number", None),
        ("fallbacks", ["a"] * 11, "at most 10 agents, found 11", None),
        ("fallbacks", [{"answer_timeout_s": 5}], "is required", None),
        ("fallbacks", [{"agent_name": "a", "answer_timeout_s": 0}], "from 1 to 3600", "1"),
        ("fallbacks", [{"agent_name": "a", "max_attempt": 2}], "is not a field of a fallback", "max_attempts"),
        ("fallbacks", [{"agent_name": "a", "metadata": {"$eval": "participnt"}}], "no 'participnt'", "participant"),
        ("recover", "lots", "never or lost or always", "lost"),
        ("recover", True, "never or lost or always", None),
        ("enabled", "on", "true or false", "true"),
        ("min_stay_s", -1, "from 0 to 3600", "0"),
        ("withdraw", [], "true or false, found a list", None),
        ("metadata", {"$eval": "participnt"}, "there is no 'participnt'", "participant"),
        ("attributes", {"a": 1}, "must be a string", None),
    ],
)
def test_one_mistake(column: str, value: Any, message: str, suggestion: str | None) -> None:
    problems = check_rule({**GOOD, column: value})
    assert len(problems) == 1
    assert problems[0].path.startswith(column)
    assert message in problems[0].message
    assert problems[0].suggestion == suggestion


@pytest.mark.parametrize(
    ("column", "suggestion"),
    [
        ("agentname", "agent_name"),
        ("agent-name", "agent_name"),
        ("agent", "agent_name"),
        ("Priority", "priority"),
        ("patern", "pattern"),
        ("rollout", "rollout_percent"),
        ("active hours", "active_hours"),
        ("tz", "timezone"),
        ("colour", None),
    ],
)
def test_unknown_columns_name_the_nearest(column: str, suggestion: str | None) -> None:
    (problem,) = check_rule({**GOOD, column: "x"})
    assert (problem.path, problem.suggestion) == (column, suggestion)


def test_missing_columns_are_named() -> None:
    assert [(problem.path, problem.message) for problem in check_rule({})] == [
        ("name", "is required"),
        ("pattern", "is required"),
        ("agent_name", "is required"),
    ]


def test_problems_in_documents_have_paths_below_their_column() -> None:
    row = {
        **GOOD,
        "pattern": {"participant": {"metadata": {"language": [{"prefx": "e"}]}}, "room": {"name": "not a list"}},
        "metadata": {"a": [{"$eval": "1 +"}]},
    }
    paths = {problem.path: problem.suggestion for problem in check_rule(row)}
    assert paths["pattern.participant.metadata.language[0].prefx"] == "prefix"
    assert "pattern.room.name" in paths
    assert "metadata.a[0].$eval" in paths


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [date(2026, 11, 22)]}, "pattern.a[0]"),
        ({"a": [{1: 2}]}, "pattern.a[0]"),
        ({"a": ["\0"]}, "pattern.a[0]"),
        ({"a": ["\ud800"]}, "pattern.a[0]"),
        ({"a": [float("nan")]}, "pattern.a[0]"),
        ({"a": [float("inf")]}, "pattern.a[0]"),
    ],
)
def test_values_that_no_database_can_hold_are_reported_with_their_path(value: Any, path: str) -> None:
    assert [problem.path for problem in check_rule({**GOOD, "pattern": value})] == [path]
    (problem,) = check_rule({**GOOD, "metadata": value})
    assert problem.path == path.replace("pattern", "metadata")


def test_ten_mistakes_are_ten_problems() -> None:
    row = {
        "name": "",
        "agent_nam": "x",
        "pattern": {"participant": {"kind": "SIP"}},
        "priority": "high",
        "scope": "everywhere",
        "rollout_percent": 150,
        "active_hours": "always",
        "timezone": "Mars/Olympus",
        "deployment": "a b",
    }
    problems = check_rule(row)
    assert len(problems) == 10
    assert len({problem.path for problem in problems}) == 10


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WRITABLE) | st.text(max_size=10), ANYTHING, max_size=6))
def test_any_row_is_checked_without_an_error(row: dict[str, Any]) -> None:
    for problem in check_rule(row):
        assert problem.path
        assert str(problem)


def test_bad_numbers_by_plain_sql_do_not_break_the_order() -> None:
    rows: list[dict[str, Any]] = [
        {"id": 2, "priority": "high"},
        {"id": 1, "priority": 5},
        {"id": 3, "priority": 5},
        {"id": 4, "priority": None},
    ]
    assert [row["id"] for row in sorted(rows, key=matching_order)] == [1, 3, 2, 4]
