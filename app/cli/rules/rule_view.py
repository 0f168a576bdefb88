"""Rules and their changes on a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table
from rich.text import Text

from app.agents.agent_limits import is_indefinite, read_end
from app.audit import objective_text
from app.cli.framework.moment import show_moment
from app.cli.framework.terminal import plain, table
from app.rules.columns import DEFAULTS, DOCUMENTS, WRITABLE
from app.rules.editing.history import RuleChange
from app.rules.fallbacks import names_of_fallbacks
from app.rules.goal import rule_goal

CHANGE_WORDS = {"insert": "created", "update": "changed", "delete": "deleted"}
_LONGEST = 160


def rules_table(
    rows: Sequence[Mapping[str, Any]], problems: Mapping[int, Sequence[str]], warned: Mapping[int, Sequence[str]]
) -> Table:
    """Return a table of rules: priority, name and agent, pattern."""
    rules = table("prio", "rule / agent", "pattern", narrow=("prio",))
    rules.columns[0].justify = "right"
    for row in rows:
        wrong = problems.get(row["id"], ())
        enabled = row["enabled"] == 1
        style = "bold red" if wrong else "" if enabled else "dim"
        name = plain(row["name"], style)
        marks = [*(["cannot be used"] if wrong else []), *([] if enabled else ["disabled"]), *_marks(row)]
        goals = [rule_goal(row["action"], row["agent_name"], row["transfer_to"]), *names_of_fallbacks(row["fallbacks"])]
        if row["on_no_show"] != DEFAULTS["on_no_show"]:
            goals.append(rule_goal(row["on_no_show"], None, row["transfer_to"]))
        agent = "→ " + ", else ".join(goals)
        name.append("\n").append_text(plain(agent, "dim"))
        if marks:
            name.append("\n").append_text(plain(", ".join(marks), "yellow"))
        pattern = plain(_short(row["pattern"]), "dim" if not enabled else "")
        for problem in wrong:
            pattern.append("\n").append_text(plain(problem, "red"))
        for warning in warned.get(row["id"], ()):
            pattern.append("\n").append_text(plain(f"warning: {warning}", "yellow"))
        rules.add_row(str(row["priority"]), name, pattern)
    return rules


def _marks(row: Mapping[str, Any]) -> list[str]:
    """Return what is unusual about a rule, in words."""
    marks = []
    if row["on_match"] == "continue":
        marks.append("continues")
    if row["scope"] == "participant":
        marks.append("per participant")
    if row["rollout_percent"] != DEFAULTS["rollout_percent"]:
        marks.append(f"{row['rollout_percent']} %")
    if row["paused_until"]:
        marks.append(f"paused until {_pause_text(row['paused_until'])}")
    if row["active_hours"]:
        marks.append(f"{row['active_hours']} {row['timezone']}")
    if row["objective_percent"] is not None and row["objective_s"] is not None:
        marks.append(objective_text(row["objective_percent"], row["objective_s"]))
    if row["recover"] != DEFAULTS["recover"]:
        marks.append(f"recover {row['recover']}")
    if not row["withdraw"]:
        marks.append("agent stays")
    if row["max_calls"] is not None:
        marks.append(f"at most {row['max_calls']}")
    return marks


def rule_fields(row: Mapping[str, Any]) -> Table:
    """Return every column of a rule; those with their default are dimmed."""
    grid = Table.grid(padding=(0, 2))
    for column in ("id", *WRITABLE):
        value = row[column]
        is_default = column in DEFAULTS and value == DEFAULTS[column]
        if column in DOCUMENTS and value is not None:
            text = json.dumps(value, indent=2, ensure_ascii=False)
        elif value is None or value == "":
            text = "-"
        elif column == "paused_until":
            text = _pause_text(value)
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        grid.add_row(Text(column, "dim"), plain(text, "dim" if is_default else ""))
    return grid


def change_words(change: RuleChange) -> Text:
    """Return one change of a rule, with the values that changed and its change set."""
    text = plain(f"{change.rule}: {CHANGE_WORDS[change.change]}", "bold")
    if change.why:
        text.append("\n").append_text(plain(f"“{change.why}”"))
    for value in change.values[:8]:
        is_pause = value.path == "paused_until"
        shown = replace(value, before=_pause_text(value.before), after=_pause_text(value.after)) if is_pause else value
        text.append("\n").append_text(plain(shown, "dim"))
    if len(change.values) > 8:
        text.append("\n").append(f"… and {len(change.values) - 8} more values", "dim")
    if change.change_set:
        text.append("\n").append_text(plain(f"change set {change.change_set}", "dim"))
    return text


def _pause_text(stored: Any) -> Any:
    """Return the end of a pause as tables show times; what is no time as it is."""
    end = read_end(stored) if isinstance(stored, str) else None
    if end is None:
        return stored
    return "it is resumed" if is_indefinite(end) else show_moment(end)


def _short(document: Any) -> str:
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
