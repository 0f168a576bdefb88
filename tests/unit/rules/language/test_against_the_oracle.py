"""The real matcher against the naive one on random patterns and documents."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from app.rules import PatternError, matches
from tests.unit.rules.language.naive import Refused, naive_matches
from tests.unit.rules.language.near_misses import make_document, make_pattern
from tests.unit.rules.language.random_patterns import documents, good_lists, patterns, value_lists

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answers(pattern: Any, document: Any) -> tuple[bool | None, bool | None]:
    try:
        real = matches(pattern, document)
    except PatternError:
        real = None
    try:
        naive = naive_matches(pattern, document)
    except Refused:
        naive = None
    return real, naive


@relaxed
@given(patterns(good_lists), documents)
def test_same_answer_for_patterns_that_are_mostly_right(pattern: Any, document: Any) -> None:
    real, naive = answers(pattern, document)
    assert real == naive


@relaxed
@given(patterns(value_lists), documents)
def test_same_answer_and_same_refusal_for_patterns_that_may_be_wrong(pattern: Any, document: Any) -> None:
    real, naive = answers(pattern, document)
    assert real == naive


@pytest.mark.parametrize("block", range(6))
def test_same_answer_where_patterns_are_made_from_the_document(block: int) -> None:
    matched = 0
    for seed in range(block * 500, block * 500 + 500):
        random = Random(seed)
        document = make_document(random)
        pattern = make_pattern(random, document)
        real, naive = answers(pattern, document)
        assert real == naive, (pattern, document)
        matched += bool(real)
    # The test is worth little if hardly anything matches, or everything.
    assert 50 < matched < 450
