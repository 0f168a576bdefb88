"""The page CONDITIONS.md says what happens: its examples are run."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import app.rules
from app.db.rule_columns import COLUMN
from app.rules.conditions.hours import check_hours, parse_hours
from app.rules.editing.rules_file import read_rules_file
from app.rules.templates.jsone.budget import DEEPEST, MOST_STEPS
from app.rules.templates.jsone.compiler import LARGEST_TEMPLATE
from app.rules.templates.jsone.expression_limits import LONGEST_EXPRESSION
from app.rules.templates.template import RULE_FACTS, check_template, render_metadata

PAGE = (Path(app.rules.__file__).parent / "CONDITIONS.md").read_text(encoding="utf-8")


def table(header: str) -> list[list[str]]:
    lines = PAGE.split(f"| {header}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    rows = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
    return [[cell.strip().strip("`").replace("\\|", "|") for cell in row] for row in rows]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize(("hours", "zone", "country", "at", "in_force"), table("`active_hours` |"))
def test_hours(hours: str, zone: str, country: str, at: str, in_force: str) -> None:
    assert parse_hours(hours, zone, country or None).covers(datetime.fromisoformat(at)) is (in_force == "yes")


def grammar_examples() -> list[str]:
    """Return the examples of the page's grammar, each as part of a value."""
    grammar = block("text")
    examples = []
    for symbol in ("years", "dates", "weeks", "days", "times"):
        entries = re.split(rf"^{symbol} += ", grammar, flags=re.MULTILINE)[1]
        entries = re.split(r"^\w+ *= ", entries, flags=re.MULTILINE)[0]
        for entry in re.split(r" \| |\n +\| ", entries.strip()):
            text = re.split(r" {3,}", entry.strip())[0]
            examples.append(f"week {text}" if symbol == "weeks" else text)
    return examples


@pytest.mark.parametrize("example", grammar_examples())
def test_the_grammar(example: str) -> None:
    assert check_hours(example, "ES") == []


@pytest.mark.parametrize("refused", ["SH", "sunrise-sunset", "10:00", "10:00-16:00/30", "Feb 30", "12:00-6:00"])
def test_the_refused_values(refused: str) -> None:
    assert refused in PAGE or refused.startswith("sunrise")
    assert check_hours(refused, "ES") != []


@pytest.mark.parametrize(("template", "result"), table("template |"))
def test_templates(template: str, result: str) -> None:
    now = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
    rule = {"id": 1, "name": "spanish", "agent_name": "support-es"}
    parsed = json.loads(template)
    assert check_template(parsed) == []
    assert json.loads(render_metadata(parsed, json.loads(block("json")), rule, now, 65_536)) == json.loads(result)


def test_the_rules_file() -> None:
    (rule,) = read_rules_file(block("yaml")).rules
    assert (rule["name"], rule["holidays"]) == ("spanish", "ES")


def test_the_numbers() -> None:
    for number in (MOST_STEPS, DEEPEST, LONGEST_EXPRESSION, LARGEST_TEMPLATE):
        assert f"{number:,}" in PAGE
    for fact in RULE_FACTS:
        assert f"`{fact}`" in PAGE


def test_the_table_of_columns_is_that_of_the_definitions() -> None:
    listed = [(name, default.strip("`"), meaning) for name, default, meaning in table("column |")]
    assert [name for name, _, _ in listed] == list(COLUMN)
    for name, default, meaning in listed:
        column = COLUMN[name]
        assert default == ("required" if column.is_required else json.dumps(column.default))
        assert meaning.replace("`", "") == column.help.replace("`", "")
