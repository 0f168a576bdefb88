"""The form of a rule: fallbacks as names, what is not the default, and lines that come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.db.rule_columns import COLUMN
from app.rules.rows.lines import Line
from app.rules.rows.operator import MEANINGS
from app.server.console.rule_pages.editor.pattern_form import SentPattern, View, changed_form, pattern_form
from app.server.console.rule_pages.rule_form import changed_values, fields_of, read_draft

RULE = {"name": "all", "pattern": {}, "agent_name": "greeter"}


def read_back(fallbacks: Any) -> tuple[str, Any]:
    fields = fields_of({**RULE, "fallbacks": fallbacks})
    return fields["fallbacks"], read_draft(fields.__getitem__)[1]["fallbacks"]


@pytest.mark.parametrize(
    ("fallbacks", "text"),
    [
        (["reception"], "reception"),
        (["reception", "voice mail"], "reception\nvoice mail"),
        (["a, b"], '["a, b"]'),
        (["5"], '["5"]'),
        (["null"], '["null"]'),
        (['"x"'], '["\\"x\\""]'),
        ([" x"], '[" x"]'),
        ([{"agent_name": "reception"}], '[{"agent_name": "reception"}]'),
        ([], "[]"),
        (None, ""),
    ],
)
def test_fallbacks_are_names_by_line_where_that_is_all(fallbacks: Any, text: str) -> None:
    assert read_back(fallbacks) == (text, fallbacks)


def test_names_may_be_separated_by_commas_and_blank_lines() -> None:
    fields = {**fields_of(RULE), "fallbacks": "reception, voicemail\r\n\r\nlast\r\n"}
    assert read_draft(fields.__getitem__)[1]["fallbacks"] == ["reception", "voicemail", "last"]


def test_what_is_not_the_default_is_said() -> None:
    columns = tuple(COLUMN[name] for name in ("max_attempts", "recover", "withdraw", "fallbacks"))
    assert changed_values(fields_of(RULE), columns) == []
    fields = fields_of({**RULE, "max_attempts": 1, "recover": "lost", "withdraw": False, "fallbacks": ["a", "b"]})
    assert changed_values(fields, columns) == [
        "Attempts: 1",
        "Replace an agent that leaves its caller: if it is lost",
        "Remove the agent with its caller: no",
        "Fallbacks: a b",
    ]


def test_active_hours_are_said_with_their_time_zone() -> None:
    columns = (COLUMN["active_hours"], COLUMN["timezone"])
    assert changed_values(fields_of(RULE), columns) == []
    hours = fields_of({**RULE, "active_hours": "Mo-Fr 09:00-18:00"})
    assert changed_values(hours, columns) == ["Active hours: Mo-Fr 09:00-18:00", "Time zone: UTC"]


LINES = (
    Line(field="a", values="1"),
    Line(operator="begins", values="x", is_or=True),
    Line(field="b", values="2"),
    Line(1, "c", "is", "3"),
)


def test_a_line_that_goes_leaves_its_field_to_the_or_line_below() -> None:
    form, _ = changed_form(SentPattern(View.ROWS, "{}", LINES), "remove-0")
    assert form.lines == (Line(field="a", operator="begins", values="x"), *LINES[2:])


def test_an_or_line_is_put_behind_those_of_its_field() -> None:
    form, _ = changed_form(SentPattern(View.ROWS, "{}", LINES), "or-0")
    assert [line.is_or for line in form.lines] == [False, True, True, False, False]
    assert [[place for place, _ in group] for group in form.groups] == [[0, 1, 2, 3], [4]]


def test_a_group_is_added_behind_the_others() -> None:
    form, _ = changed_form(SentPattern(View.ROWS, "{}", LINES), "group")
    assert [line.group for line in form.lines] == [0, 0, 0, 1, 2]


def test_patterns_that_are_long_or_have_many_conditions_are_json() -> None:
    assert "too long" in pattern_form({"a": ["x" * 20_000]}).beyond
    assert "more than 60 conditions" in pattern_form({f"f{number}": [1] for number in range(61)}).beyond
    assert pattern_form({f"f{number}": [1] for number in range(60)}).view is View.ROWS
    assert pattern_form("no pattern").beyond.startswith("it has mistakes")


def test_the_documentation_names_every_operator() -> None:
    page = (Path(__file__).parents[3] / "app/docs/rule-editor.md").read_text("utf-8")
    table = page.partition("## Conditions")[2].partition("Values are separated")[0]
    assert [one.label for one in MEANINGS.values() if one.label not in table] == []
