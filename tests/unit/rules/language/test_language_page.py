"""Every MUST of the normative page has cases, and every case holds: for the matcher, the oracle and rules alike."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import app.rules
from app.rules import PatternError, RuleBook, check_pattern, evaluate, matches
from app.rules.language import limits
from tests.unit.rules.books import make_event, make_row
from tests.unit.rules.language.naive import Refused, naive_matches

CASES: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "data" / "cases.json").read_text("utf-8"))
PAGE = (Path(app.rules.__file__).parent / "README.md").read_text("utf-8")

TOO_MUCH: dict[str, Any] = {
    "deep": {"a": [1]},
    "parts": {".".join("a" * (limits.MAX_PARTS + 1)): [1]},
    "alternatives": {f"f{n}": {"$or": [{"a": [1]}, {"b": [1]}]} for n in range(9)},
    "conditions": {"$or": [{f"f{n}-{m}": [1] for m in range(limits.MAX_CONDITIONS // 200 + 1)} for n in range(200)]},
    "values": {"a": list(range(limits.MAX_VALUES + 1))},
    "text": {"a": ["x" * (limits.MAX_TEXT + 1)]},
    "name": {"x" * (limits.MAX_TEXT + 1): [1]},
    "asterisks": {"a": [{"wildcard": "*a" * (limits.MAX_WILDCARDS + 1)}]},
}
for _ in range(limits.MAX_DEPTH):
    TOO_MUCH["deep"] = {"a": TOO_MUCH["deep"]}


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{mark}-{place}")
        for mark, listed in CASES.items()
        for place, case in enumerate(listed)
        if kind in case
    ]


def test_every_mark_on_the_page_has_cases_and_every_case_a_mark() -> None:
    marks = re.findall(r"\*\*([A-Z]\d)\*\*", PAGE)
    assert sorted(set(marks)) == sorted(CASES)
    assert len(marks) == len(set(marks))
    assert all(CASES.values())


def test_the_page_states_the_limits_of_the_code() -> None:
    table = PAGE.split("## Limits")[1].split("## ")[0]
    stated = [int(number.replace(",", "")) for number in re.findall(r"^\| ([\d,]+) \|", table, re.MULTILINE)]
    assert stated == [
        limits.MAX_DEPTH,
        limits.MAX_PARTS,
        limits.MAX_ALTERNATIVES,
        limits.MAX_CONDITIONS,
        limits.MAX_VALUES,
        limits.MAX_TEXT,
        limits.MAX_WILDCARDS,
    ]
    assert f"{limits.MAX_STEPS:,}" in table
    assert f"{limits.MAX_WORK:,}" in table


@pytest.mark.parametrize("case", cases("pattern"))
def test_the_case_holds(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(PatternError) as refused:
            matches(case["pattern"], {})
        if case["refused"] is not None:
            assert [problem.path for problem in refused.value.problems] == case["refused"]
        return
    for document in case["matches"]:
        assert matches(case["pattern"], document), document
    for document in case["differs"]:
        assert not matches(case["pattern"], document), document


@pytest.mark.parametrize("case", cases("pattern"))
def test_the_case_holds_for_the_oracle(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(Refused):
            naive_matches(case["pattern"], {})
        return
    assert all(naive_matches(case["pattern"], document) for document in case["matches"])
    assert not any(naive_matches(case["pattern"], document) for document in case["differs"])


@pytest.mark.parametrize("case", cases("rule"))
def test_the_case_holds_for_a_rule(case: dict[str, Any]) -> None:
    book = RuleBook.build([make_row(1, case["rule"])], 1)
    assert not book.bad
    for explain in (False, True):
        for document in case["matches"]:
            assert evaluate(book, make_event(document), explain=explain).matched, document
        for document in case["differs"]:
            assert not evaluate(book, make_event(document), explain=explain).matched, document


@pytest.mark.parametrize("case", cases("make"))
def test_a_pattern_beyond_the_limits_is_refused_as_such_and_as_a_row(case: dict[str, Any]) -> None:
    pattern = TOO_MUCH[case["make"]]
    assert check_pattern(pattern)
    assert set(RuleBook.build([make_row(1, pattern), make_row(2, {"a": [1]})], 1).bad) == {1}
