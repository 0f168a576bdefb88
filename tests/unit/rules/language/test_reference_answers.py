"""Every answer of the reference implementation, matches and refusals alike."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from app.rules import PatternError, matches
from tests.unit.rules.language.naive import Refused, naive_matches

ANSWERS = Path(__file__).parent / "data" / "event-ruler-answers.jsonl.gz"


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    with gzip.open(ANSWERS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("matcher", "refusal"), [(matches, PatternError), (naive_matches, Refused)])
def test_the_matcher_answers_as_event_ruler(answers: list[dict[str, Any]], matcher: Any, refusal: Any) -> None:
    assert len(answers) == 4000
    wrong = []
    for answer in answers:
        try:
            got = [matcher(answer["pattern"], event) for event in answer["events"]]
        except refusal:
            got = None
        expected = answer["matches"] if answer["valid"] else None
        if got != expected:
            wrong.append((answer["pattern"], got, expected))
    assert wrong == []


def test_every_refusal_names_a_place(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        if answer["valid"]:
            continue
        with pytest.raises(PatternError) as refused:
            matches(answer["pattern"], {})
        for problem in refused.value.problems:
            assert problem.path
            assert problem.message
