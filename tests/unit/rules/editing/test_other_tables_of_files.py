"""Lookups and agents in a rules file: every mistake is named with its field and line."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidInputError, Problem
from app.rules.editing.rules_file import RulesFile, export_rules, read_rules_file


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidInputError) as raised:
        read_rules_file(text)
    return raised.value.problems


def test_rows_are_whole_and_a_key_that_is_missing_is_none() -> None:
    read = read_rules_file(
        "rules: []\nlookups: [{name: crm, pattern: {}, url: 'https://x.test/'}]\nagents: [{agent_name: a}]"
    )
    assert read.lookups is not None
    assert read.agents is not None
    assert read.lookups[0]["timeout_ms"] == 1500
    assert read.agents[0] == {
        "agent_name": "a",
        "max_calls": None,
        "starts_per_second": None,
        "out_of_service_until": None,
        "substitute_agent_name": None,
        "note": "",
    }
    assert read_rules_file("rules: []") == RulesFile((), None, None)
    assert read_rules_file("rules: []\nlookups: []") == RulesFile((), (), None)


def test_mistakes_are_named_with_their_lines() -> None:
    found = problems(
        """rules: []
lookups:
- name: crm
  pattern: {room: {name: x}}
  url: crm.example.com
  headers: {authorization: Bearer s3cr3t}
  id: 7
- name: crm
  pattern: {}
  url: https://crm.example.com/
  time_out: 5
- just text
agents:
- agent_name: a
  max_calls: many
  out_of_service_until: "tomorrow"
  substitute_agent_name: a
  updated_by: ana
- agent_name: a
- max_calls: 3
- agent_name: " b"
"""
    )
    lines = {one.path: int(one.message.rsplit("line ", 1)[1].rstrip(")")) for one in found if "(line " in one.message}
    assert lines == {
        "lookups[0].pattern.room.name": 4,
        "lookups[0].url": 5,
        "lookups[0].headers.authorization": 6,
        "lookups[0].id": 7,
        "lookups[1].name": 8,
        "lookups[1].time_out": 11,
        "agents[0].max_calls": 15,
        "agents[0].out_of_service_until": 16,
        "agents[0].substitute_agent_name": 17,
        "agents[0].updated_by": 18,
        "agents[1].agent_name": 19,
        "agents[2].agent_name": 20,
        "agents[3].agent_name": 21,
    }
    assert {one.path for one in found} == {*lines, "lookups[2]"}
    assert "s3cr3t" not in "".join(map(str, found))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("rules: []\nlookups:", "lookups"),
        ("rules: []\nlookups: {crm: {}}", "lookups"),
        ("rules: []\nagents: [a]", "agents[0]"),
        ("rules: []\nagent: []", "agent"),
        ("lookups: []", "rules"),
        ('{"rules": [], "agents": null}', "agents"),
        ('{"rules": [], "agents": [], "agents": []}', "agents"),
        ('{"rules": [], "agents": [{"agent_name": "a", "": 1}]}', 'agents[0].""'),
        ('{"rules": [], "agents": [{"agent_name": "a\\u0000"}]}', "agents[0].agent_name"),
        ('{"rules": [], "agents": [{"agent_name": 7}]}', "agents[0].agent_name"),
        ('{"rules": [], "agents": [{"agent_name": "a", "note": null}]}', "agents[0].note"),
        ('{"rules": [], "lookups": [{}]}', "lookups[0].name"),
    ],
)
def test_what_is_no_table_is_refused(text: str, path: str) -> None:
    assert path in [one.path for one in problems(text)]


def test_the_nearest_key_is_suggested() -> None:
    (problem,) = problems("rules: []\nlookup: []")
    assert problem.suggestion == "lookups"


@pytest.mark.parametrize("format_", ["yaml", "json"])
def test_an_export_is_ordered_by_name_and_leaves_defaults_out(format_: Any) -> None:
    read = read_rules_file(
        "rules: []\nagents: [{agent_name: b, note: x}, {agent_name: a, max_calls: 0}]\n"
        "lookups: [{name: crm, pattern: {}, url: 'https://x.test/', enabled: true, timeout_ms: 1500}]"
    )
    text = read.to_text(format_)
    assert text == export_rules((), format_, lookups=read.lookups or (), agents=reversed(read.agents or ()))
    assert "timeout_ms" not in text
    assert "max_calls" in text
    again = read_rules_file(text, format_=format_)
    assert (again.lookups, [row["agent_name"] for row in again.agents or ()]) == (read.lookups, ["a", "b"])
