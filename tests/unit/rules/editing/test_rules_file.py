"""Rules files: strict reading with places, exports that read back to the same, hostile files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidInputError, Problem
from app.rules.columns import DEFAULTS, WRITABLE
from app.rules.editing.rules_file import LARGEST_YAML, export_rules, read_rules_file
from app.rules.editing.yaml_text import is_doubtful, parse_yaml, write_yaml

RULE = "- name: one\n  pattern: {room: {name: [a]}}\n  agent_name: x\n"


def problems(source: str | Path, **keywords: Any) -> list[Problem]:
    with pytest.raises(InvalidInputError) as raised:
        read_rules_file(source, **keywords)
    return raised.value.problems


def test_a_file_gives_whole_rows_in_its_order() -> None:
    rules = read_rules_file("rules:\n" + RULE + RULE.replace("one", "two")).rules
    assert [rule["name"] for rule in rules] == ["one", "two"]
    assert rules[0] == {**DEFAULTS, "name": "one", "pattern": {"room": {"name": ["a"]}}, "agent_name": "x"}
    assert list(rules[0]) == list(WRITABLE)
    assert read_rules_file("rules: []").rules == ()
    assert read_rules_file('\ufeff{"rules": []}').rules == ()


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    row = {"name": "one", "pattern": {"n": [1, 2.5, True, None, "x"]}, "agent_name": "x", "metadata": {"a": ["b"]}}
    for name, content in (("a.json", json.dumps({"rules": [row]})), ("a.yaml", write_yaml({"rules": [row]}))):
        path = tmp_path / name
        path.write_text(content)
        (rule,) = read_rules_file(path).rules
        assert {column: rule[column] for column in row} == row


def test_ten_mistakes_are_named_with_their_lines() -> None:
    found = problems(
        """rules:
- name: one
  pattern: {participant: {attributes: {sip.trunkPhoneNumber: [+15557654321]}, metadata: {lang: [no]}}}
  agentname: x
  enabled: yes
  priority: high
  scope: rooms
- name: one
  pattern: {room: {name: [{prefx: a}]}}
  agent_name: x
  id: 7
  rollout_percent: 120
- just text
"""
    )
    assert [(problem.path, problem.suggestion, _line(problem)) for problem in found] == [
        ('rules[0].pattern.participant.attributes["sip.trunkPhoneNumber"][0]', '"+15557654321"', 3),
        ("rules[0].pattern.participant.metadata.lang[0]", None, 3),
        ("rules[0].enabled", None, 5),
        ("rules[2]", None, None),
        ("rules[0].agentname", "agent_name", 4),
        ("rules[0].priority", None, 6),
        ("rules[0].agent_name", None, 2),
        ("rules[0].scope", "room", 7),
        ("rules[1].pattern.room.name[0].prefx", "prefix", 9),
        ("rules[1].rollout_percent", "100", 12),
        ("rules[1].id", None, 11),
        ("rules[1].name", None, 8),
    ]


def _line(problem: Problem) -> int | None:
    _, bracket, rest = problem.message.rpartition("(line ")
    return int(rest.rstrip(")")) if bracket else None


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", "", "must have the key `rules`"),
        ("- name: x", "", "must have the key `rules`"),
        ("rules: 5", "rules", "must be a list"),
        ("rule: []", "rule", "is not a known key"),
        ("rules: [\n a: b: c\n", "", "line 2, column 6"),
        ("rules:\n\t- x", "", "line 2, column 1"),
        ("rules: []\n---\nrules: []", "", "more than one YAML document"),
        ("rules: !!python/object:os.system []", "rules", "has the tag"),
        ("rules: !thing []", "rules", "has the tag !thing"),
        ("rules: !!set {a}", "rules", "has the tag"),
        ("<<: {a: 1}\nrules: []", "", "merge key"),
        ("rules: []\nrules: []", "rules", "is given twice (line 2)"),
        ("? [a]\n: b", "", "has a key that is not text"),
        ("no: 1\nrules: []", "no", "is a key that some readers"),
        ("1: 1\nrules: []", "1", "is a key that some readers"),
        ("rules: *a", "rules", "refers to nothing"),
        ("rules: &a [*a]", "rules[0]", "refers to nothing that is complete"),
        ("rules: [\x07]", "", "character"),
        ('{"rules": [}', "", "line 1, column 12: is not JSON"),
        ('{"rules": [], "rules": []}', "rules", "is given twice"),
        ('{"rules": [{"name": "a", "name": "b"}]}', "rules[0].name", "is given twice"),
        ('{"rules": [NaN]}', "", "NaN is not a JSON value"),
        ('{"rules": [' + "9" * 5000 + "]}", "", "is not JSON"),
    ],
)
def test_what_is_no_rules_file(text: str, path: str, message: str) -> None:
    found = problems(text)
    assert any(path == problem.path.removeprefix(".") and message in problem.message for problem in found), found


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path / "absent.yaml")[0].message
    assert "cannot be read" in problems(tmp_path)[0].message
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"rules:\n- name: Espa\xf1a\n")
    assert problems(latin)[0].message == "line 2: is not UTF-8"
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (LARGEST_YAML + 1))
    assert "at most" in problems(large)[0].message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"), ("'no'", "no"), ('"on"', "on"), ("!!str 5", "5"), ("true", True), ("False", False), ("null", None),
        ("~", None), ("", None), ("12", 12), ("-3", -3), ("0.5", 0.5), ("1e3", 1000.0), ("-1.5E-2", -0.015),
        ("10.0.0.1", "10.0.0.1"), ("24/7", "24/7"), ("09:00-18:00", "09:00-18:00"), ("Mo-Fr 09:00", "Mo-Fr 09:00"),
        ("y", "y"), ("09:30", "09:30"), ("1.2.3", "1.2.3"), ("9" * 301, "9" * 301),
    ],
)  # fmt: skip
def test_plain_values(text: str, value: Any) -> None:
    parsed = parse_yaml(f"a: {text}")
    if len(text) > 300:
        assert parsed.problems  # too long for a number, and not a text to every reader
        return
    assert (parsed.value, parsed.problems) == ({"a": value}, [])


@pytest.mark.parametrize(
    "text",
    ["no", "Yes", "ON", "off", "+34600111222", "0123", "0x1F", "0o17", "1_000", "9:30", "=", ".5", "5.", "2026-11-22",
     "2026-11-22 10:00:00", ".inf", ".NaN", "+1", "1e999", "190:20:30"],
)  # fmt: skip
def test_values_that_readers_disagree_about_are_refused(text: str) -> None:
    (problem,) = parse_yaml(f"a:\n- {text}").problems
    assert problem.path == "a[0]"
    assert "some readers of YAML" in problem.message
    assert "(line 2)" in problem.message


def test_aliases_are_read_but_bombs_are_not() -> None:
    shared = "rules:\n- name: one\n  pattern: &p {room: {name: [a]}}\n  agent_name: x\n"
    rules = read_rules_file(shared + "- {name: two, pattern: *p, agent_name: y}").rules
    assert rules[0]["pattern"] == rules[1]["pattern"] == {"room": {"name": ["a"]}}
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert any("values, counting what aliases repeat" in problem.message for problem in problems(bomb))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "- " * 50_000, "{a: " * 50_000, '{"a":' * 100_000, "a:\n" * 50_000, "&a " * 1000, "'" * 99_999,
     "rules: [" + "{}," * 50_000 + "]", '{"rules": [' + "{}," * 50_000 + "{}]}", "rules:\n" + "- x: {}\n" * 20_000],
    ids=["flow", "block", "mappings", "json", "repeated", "anchors", "quotes", "empty", "empty json", "bad rules"],
)  # fmt: skip
def test_hostile_files_are_refused(text: str) -> None:
    assert 1 <= len(problems(text)) <= 1000


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TRICKY = st.sampled_from(
    ["no", "Yes", "+346", "0123", "9:30", "2026-11-22", "1e3", "null", "~", "", " ", "- a", "a: b", "#", "a #b", "'",
     '"', "|", ">", "\n", "a\n", "\na", "a\n\nb", " a\nb", "a\nb ", "\t", "é", "\u2028", "\x85", "\u200b", "😀", "*a",
     "&a", "!a", "%a", "@a", "`a", "{a}", "[a]", "<<", "=", "---", "...", "? a", ": a", "a:", "x" * 100, "\x7f",
     "\ufeff", "\x1b"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | TRICKY, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(VALUES)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    text = write_yaml([value])
    parsed = parse_yaml(text)
    assert parsed.problems == []
    assert json.dumps(parsed.value) == json.dumps([value])
    # Also for readers of YAML 1.1, such as most of them.
    assert json.dumps(yaml.safe_load(text)) == json.dumps([value])


@settings(deadline=None)
@given(TEXT | TRICKY)
def test_doubtful_text_is_never_written_plain(text: str) -> None:
    if is_doubtful(text):
        assert write_yaml([text]).startswith('["' if len(json.dumps([text])) <= 72 else '- "')


def rows(**columns: Any) -> dict[str, Any]:
    return {"name": "n", "pattern": {"room": {"name": ["a"]}}, "agent_name": "x", **columns}


def test_an_export_is_readable() -> None:
    exported = export_rules(
        [
            rows(name="second", id=2, priority=100, description="Two\nlines\n", enabled=False),
            rows(
                name="first", id=9, priority=5, attributes={"phone": "+34", "lang": "no"}, metadata={"a": [1, {"b": 2}]}
            ),
            rows(
                name="third",
                id=3,
                updated_by="ana",
                **{c: v for c, v in DEFAULTS.items() if c not in {"priority", "agent_name"}},
            ),
        ]
    )
    assert exported == (
        "rules:\n"
        "- name: first\n"
        "  priority: 5\n"
        "  pattern:\n"
        "    room:\n"
        "      name: [a]\n"
        "  agent_name: x\n"
        "  metadata:\n"
        "    a: [1, {b: 2}]\n"
        "  attributes:\n"
        '    phone: "+34"\n'
        '    lang: "no"\n'
        "\n"
        "- name: second\n"
        "  description: |\n"
        "    Two\n"
        "    lines\n"
        "  enabled: false\n"
        "  pattern:\n"
        "    room:\n"
        "      name: [a]\n"
        "  agent_name: x\n"
        "\n"
        "- name: third\n"
        "  pattern:\n"
        "    room:\n"
        "      name: [a]\n"
        "  agent_name: x\n"
    )
    assert export_rules([]) == "rules: []\n"
    assert json.loads(export_rules([rows(id=1)], "json")) == {"rules": [rows()]}


SMALL = st.integers(-9, 9)
LINE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
RULES = st.lists(
    st.fixed_dictionaries(
        {"name": LINE, "agent_name": LINE,
         "pattern": st.dictionaries(LINE, st.lists(LINE | SMALL, min_size=1, max_size=3), min_size=1, max_size=2)},
        optional={
            "description": TEXT,
            "enabled": st.booleans(),
            "priority": st.integers(-100, 100),
            "metadata": st.dictionaries(TRICKY.filter(lambda key: "$" not in key), TRICKY, min_size=1, max_size=3),
            "scope": st.sampled_from(["room", "participant"]),
            "rollout_percent": st.integers(0, 100),
        },
    ),
    max_size=4,
    unique_by=lambda rule: rule["name"],
)  # fmt: skip


@settings(deadline=None)
@given(RULES, st.sampled_from(["yaml", "json"]))
def test_an_export_read_and_exported_again_is_the_same_text(rules: list[dict[str, Any]], format_: Any) -> None:
    exported = export_rules(rules, format_)
    read: Any
    broken = set()
    try:
        read = read_rules_file(exported, format_=format_).rules
    except InvalidInputError as error:
        # Random patterns may break the rules of the language, never those of the file.
        read = None
        broken = {problem.path.split(".")[1] for problem in error.problems}
    if read is None:
        assert broken == {"pattern"}
        return
    assert export_rules(read, format_) == exported
    assert [rule["name"] for rule in read] == [
        rule["name"] for rule in sorted(rules, key=lambda rule: rule.get("priority", 100))
    ]
