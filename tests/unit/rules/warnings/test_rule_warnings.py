"""Warnings: right where they speak, silent where nothing is proved."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from app.rules import RuleBook, matches
from app.rules.language.compile import compile_alternatives
from app.rules.language.pattern import PatternError, read_pattern
from app.rules.warnings.rule_warnings import WarningKind, pattern_warnings, rule_warnings, warnings
from app.rules.warnings.sample import make_sample
from app.rules.warnings.subsumption import covers
from tests.unit.rules.books import make_row, random_document, random_pattern
from tests.unit.rules.language.near_misses import make_document, make_pattern

SUPPORT = {"room": {"name": [{"prefix": "support-"}]}}
SPANISH = {"room": {"name": [{"prefix": "support-es-"}]}, "participant": {"metadata": {"language": ["es"]}}}


def shadowed(*rows: dict[str, Any]) -> list[str]:
    book = RuleBook.build(rows, 1)
    assert not book.bad
    return [warning.rule_name for warning in warnings(book) if warning.kind is WarningKind.SHADOWED]


def test_a_rule_wholly_behind_a_wider_one_is_shadowed() -> None:
    assert shadowed(make_row(1, SUPPORT), make_row(2, SPANISH)) == ["rule 2"]
    assert shadowed(make_row(1, SUPPORT, priority=200), make_row(2, SPANISH)) == []
    assert shadowed(make_row(1, SPANISH), make_row(2, SUPPORT)) == []


@pytest.mark.parametrize(
    "column",
    [
        {"enabled": False},
        {"on_match": "continue"},
        {"rollout_percent": 99},
        {"active_hours": "Mo-Fr 09:00-18:00"},
    ],
)
def test_a_rule_that_may_let_others_through_shadows_none(column: dict[str, Any]) -> None:
    assert shadowed(make_row(1, SUPPORT, **column), make_row(2, SPANISH)) == []


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ({}, SUPPORT, True),
        (SUPPORT, {"room": {"name": ["support-1", "support-2"]}}, True),
        (SUPPORT, {"room": {"name": ["support-1", "sales-2"]}}, False),
        ({"room": {"name": [{"exists": True}]}}, SUPPORT, True),
        ({"room": {"name": [{"wildcard": "support*"}]}}, SUPPORT, True),
        ({"room": {"name": [{"suffix": "s"}]}}, {"room": {"name": [{"suffix": "es"}]}}, True),
        ({"room": {"name": [{"anything-but": "lobby"}]}}, SUPPORT, True),
        ({"room": {"name": [{"anything-but": "support-1"}]}}, SUPPORT, False),
        (
            {"room": {"numParticipants": [{"numeric": [">", 1]}]}},
            {"room": {"numParticipants": [{"numeric": [">", 1, "<", 5]}, 7]}},
            True,
        ),
        (
            {"room": {"numParticipants": [{"numeric": [">", 1]}]}},
            {"room": {"numParticipants": [{"numeric": [">=", 1, "<", 5]}]}},
            False,
        ),
        ({"$or": [SUPPORT, {"room": {"name": ["lobby"]}}]}, {"room": {"name": ["lobby"]}}, True),
        (SUPPORT, {"$or": [SPANISH, {"room": {"name": ["lobby"]}}]}, False),
        # The defaults count: an earlier rule for joins takes no leaving, one for callers no agents.
        ({}, {"event": ["participant_left"]}, False),
        ({}, {"participant": {"kind": ["AGENT", "SIP"]}}, False),
        ({}, {"participant": {"kind": ["SIP"]}}, True),
        ({}, {"event": ["participant_joined"]}, True),
        ({"event": [{"prefix": "participant_"}]}, SUPPORT, True),
        ({"participant": {"attributes": {"tier": [{"exists": False}]}}}, SUPPORT, False),
    ],
)
def test_shadowing_is_warned_about_exactly_where_it_is_proved(earlier: Any, later: Any, *, expected: bool) -> None:
    assert shadowed(make_row(1, earlier), make_row(2, later)) == (["rule 2"] if expected else [])


def test_a_shadowing_rule_is_found_among_many() -> None:
    rows = [make_row(number, {"room": {"name": [f"room-{number}"]}}) for number in range(1, 2000)]
    rows.append(make_row(5000, {"room": {"name": [{"prefix": "room-1"}]}}, priority=50))
    found = shadowed(*rows)
    assert len(found) == sum(str(number).startswith("1") for number in range(1, 2000))


def test_rules_that_never_match_are_warned_about() -> None:
    rows = [
        make_row(1, SUPPORT, rollout_percent=0),
        make_row(2, {"room": {"numParticipants": [{"numeric": [">", 1, "<", 1.0000000000000002]}]}}),
        make_row(3, {"room": {"sid": [{"exists": False}], "name": [{"prefix": "a"}]}}),
        make_row(4, SUPPORT, active_hours="Mo-Fr 17:00+"),
        make_row(5, SUPPORT, active_hours='Mo-Fr 09:00-17:00 "by appointment"'),
        make_row(6, SUPPORT, active_hours="24/7 off"),
        make_row(7, SUPPORT, active_hours="Mo-Fr 09:00-17:00+; Sa off"),
    ]
    book = RuleBook.build(rows, 1)
    assert {w.rule_id for w in warnings(book) if w.kind is WarningKind.NEVER_MATCHES} == {1, 2, 4, 5, 6}
    disabled = RuleBook.build([make_row(1, SUPPORT, rollout_percent=0, enabled=False)], 1)
    (rule,) = disabled.rules
    assert rule_warnings(disabled, rule) == []


def test_a_repeated_field_and_an_or_without_alternatives_are_warned_about() -> None:
    twice = {"room": {"name": ["a"]}, "$or": [{"room": {"name": ["b"]}}, {"room": {"sid": ["c"]}}]}
    no_or = {"room": {"name": ["a"]}, "$or": [{"prefix": "a"}, {"prefix": "b"}]}
    assert [str(problem) for _, problem in pattern_warnings(twice)] == [
        "room.name: is named twice; only the later one counts"
    ]
    assert "$or" in {problem.path for _, problem in pattern_warnings(no_or)}


def test_what_is_proved_holds_for_random_patterns_and_documents() -> None:
    proved = checked = 0
    for seed in range(600):
        random = Random(seed)
        document = make_document(random)
        narrow_pattern = make_pattern(random, document)
        wide_pattern = make_pattern(Random(seed), document) if seed % 2 else narrow_pattern
        wide_pattern = _loosened(random, wide_pattern)
        try:
            narrow = compile_alternatives(read_pattern(narrow_pattern))
            wide = compile_alternatives(read_pattern(wide_pattern))
        except PatternError:
            continue
        if not covers(wide, narrow):
            continue
        proved += 1
        for _ in range(12):
            other = make_document(random)
            if matches(narrow_pattern, other | document) or matches(narrow_pattern, other):
                checked += 1
            for tried in (other, other | document, document):
                assert matches(wide_pattern, tried) or not matches(narrow_pattern, tried), (
                    wide_pattern,
                    narrow_pattern,
                )
    assert proved > 60
    assert checked > 60


def _loosened(random: Random, pattern: dict[str, Any]) -> dict[str, Any]:
    """Return the pattern with some fields left out and some values more general."""
    loosened: dict[str, Any] = {}
    for name, content in pattern.items():
        if loosened and random.random() < 0.4:
            continue
        if isinstance(content, dict):
            loosened[name] = _loosened(random, content)
        elif name == "$or":
            loosened[name] = [_loosened(random, branch) for branch in content]
        else:
            loosened[name] = [_wider(random, value) for value in content]
    return loosened


def _wider(random: Random, value: Any) -> Any:
    if random.random() < 0.3:
        return {"exists": True}
    if isinstance(value, str) and value and random.random() < 0.5:
        return random.choice([{"prefix": value[:1]}, {"suffix": value[-1:]}, {"wildcard": "*"}, {"anything-but": "zz"}])
    if isinstance(value, int) and random.random() < 0.5:
        return {"numeric": ["<=", value]}
    return value


def test_a_sample_matches_what_it_was_made_for() -> None:
    made = 0
    for seed in range(500):
        random = Random(seed)
        pattern = random_pattern(random)
        random_document(random)
        for alternative in compile_alternatives(read_pattern(pattern)):
            sample = make_sample(alternative)
            if sample is not None:
                made += 1
                assert matches(pattern, sample) or len(read_pattern(pattern).alternatives) > 1
    assert made > 300
