"""Rows of `routing_rules` as plain SQL may leave them: usable rules, or all their problems."""

from __future__ import annotations

import pytest

from app.db.types import JsonText
from app.rules.book.read_rule import read_rule
from app.rules.rule import BadRule


@pytest.mark.parametrize("name", ["Ana", "Bo"])
def test_a_mistake_in_a_template_shows_what_stands_in_this_rule(name: str) -> None:
    attributes = JsonText(f'{{"who": ["{name}"]}}')
    read = read_rule({"id": 1, "name": "x", "pattern": {}, "agent_name": "greeter", "attributes": attributes})
    assert isinstance(read, BadRule)
    assert [(problem.path, problem.found) for problem in read.problems] == [('attributes["who"]', [name])]


def test_the_secret_of_the_webhooks_is_found_in_a_template_however_it_is_spelt() -> None:
    metadata = JsonText('{"note": "turn\\u0050assword"}')
    read = read_rule({"id": 1, "name": "x", "pattern": {}, "agent_name": "greeter", "metadata": metadata})
    assert isinstance(read, BadRule)
    assert [problem.found for problem in read.problems] == ["turnPassword"]
