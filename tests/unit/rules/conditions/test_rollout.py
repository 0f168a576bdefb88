"""The rollout share: sticky, even, independent between rules, monotone; what it does without a value."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.conditions.rollout import check_rollout_key, in_rollout, rollout_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def caller(identity: Any) -> dict[str, Any]:
    return {"participant": {"identity": identity}}


def members(rule_id: int, percent: int, identities: list[str]) -> set[str]:
    return {name for name in identities if in_rollout(rule_id, percent, "participant.identity", caller(name))}


def test_shares_never_move_between_versions() -> None:
    # Pinned: a release that changed these would send callers to other agents.
    identities = [f"caller-{n}" for n in range(12)]
    assert members(1, 30, identities) == {"caller-2", "caller-3", "caller-6", "caller-8", "caller-9"}
    assert members(2, 30, identities) == {
        "caller-2", "caller-3", "caller-8", "caller-9", "caller-10", "caller-11",
    }  # fmt: skip


def chi_square(observed: list[int], expected: float) -> float:
    return sum((count - expected) ** 2 / expected for count in observed)


@pytest.mark.parametrize("naming", ["user-{}", "+3460011{:04}", "sip_+34600{:06}", "{:x}", "ñandú {}"])
def test_shares_are_even(naming: str) -> None:
    def first_percent(identity: str) -> int:
        return bisect_left(range(101), 1, key=lambda percent: len(members(7, percent, [identity])))

    counts = Counter(first_percent(naming.format(n)) for n in range(10_000))
    buckets = [counts[percent] for percent in range(1, 101)]
    assert sum(buckets) == 10_000
    # 99 degrees of freedom: 0.9999 of fair draws stay below 161; the draw is fixed, so this never flickers.
    assert chi_square(buckets, 100) < 161


def test_rules_choose_independently() -> None:
    identities = [f"user-{n}" for n in range(20_000)]
    for one, other in ((1, 2), (1, 11), (10, 100)):
        first, second = members(one, 50, identities), members(other, 50, identities)
        both, only_first = len(first & second), len(first - second)
        only_second = len(second - first)
        neither = len(identities) - both - only_first - only_second
        assert chi_square([both, only_first, only_second, neither], len(identities) / 4) < 21.1  # p = 0.0001


@settings(deadline=None)
@given(st.integers(1, 10**12), st.text(min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_a_growing_share_never_moves_those_already_in(rule_id: int, value: str, one: int, other: int) -> None:
    smaller, larger = sorted((one, other))
    if in_rollout(rule_id, smaller, "participant.identity", caller(value)):
        assert in_rollout(rule_id, larger, "participant.identity", caller(value))


@settings(deadline=None)
@given(st.integers(), st.text(), JSON)
def test_all_and_none_ask_nothing_of_the_document(rule_id: int, key_path: str, document: Any) -> None:
    assert in_rollout(rule_id, 100, key_path, document)
    assert not in_rollout(rule_id, 0, key_path, document)


@pytest.mark.parametrize(
    "document", [{}, {"participant": {}}, caller(None), caller(""), caller({}), caller([]), {"participant": "x"}]
)
def test_without_a_value_a_caller_is_out_of_every_partial_share(document: dict[str, Any]) -> None:
    assert not in_rollout(1, 99, "participant.identity", document)
    assert in_rollout(1, 100, "participant.identity", document)


@pytest.mark.parametrize(
    ("path", "document", "value"),
    [
        ("participant.identity", caller("ana"), "ana"),
        ("participant.attributes.sip.phoneNumber", {"participant": {"attributes": {"sip.phoneNumber": "+34"}}}, "+34"),
        ("a.b.c", {"a": {"b": {"c": "nested"}, "b.c": "dotted"}}, "nested"),
        ("a.b.c", {"a": {"b": {"d": 1}, "b.c": "dotted"}}, "dotted"),
        ("a.b", {"a.b": "top"}, "top"),
        ("n", {"n": 3}, "3"),
        ("n", {"n": 3.0}, "3"),
        ("n", {"n": 3.5}, "3.5"),
        ("n", {"n": True}, "true"),
        ("n", {"n": False}, "false"),
        ("n", {"n": 0}, "0"),
        ("n.0", {"n": ["x"]}, None),
        ("missing", {}, None),
    ],
)
def test_the_value_at_a_path(path: str, document: dict[str, Any], value: str | None) -> None:
    assert rollout_value(path, document) == value


@settings(deadline=None)
@given(st.text(), JSON, st.integers(1, 99))
def test_no_path_and_no_document_raises(path: str, document: Any, percent: int) -> None:
    assert in_rollout(1, percent, path, document) in {True, False}


def test_lone_surrogates_are_placed_too() -> None:
    answers = {in_rollout(rule, 50, "participant.identity", caller("\ud800")) for rule in range(64)}
    assert answers == {True, False}
    assert math.isclose(
        sum(in_rollout(r, 50, "participant.identity", caller("x")) for r in range(2000)), 1000, abs_tol=120
    )


@pytest.mark.parametrize("path", ["participant.identity", "room.name", "participant.metadata.account id"])
def test_paths_that_may_be_used(path: str) -> None:
    assert check_rollout_key(path) == []


@pytest.mark.parametrize("path", ["", ".", "a..b", ".a", "a.", " a", "a. b", "x" * 257])
def test_paths_that_may_not(path: str) -> None:
    (problem,) = check_rollout_key(path)
    assert problem.path == "rollout_key"
