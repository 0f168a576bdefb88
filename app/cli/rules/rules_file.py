"""Reads the rules that a command names, and collects warnings about them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from app.audit import read_recent_traffic
from app.cli.framework.database import reading
from app.clock import SystemClock
from app.errors import NotFoundError, did_you_mean
from app.rules.book.rule_book import RuleBook
from app.rules.editing.rules_file import RulesFile, read_rules_file
from app.rules.warnings.rule_warnings import warnings
from app.rules.warnings.unseen import Traffic
from app.settings import read_settings

MOST_JUDGED = 20_000
"""Rules that are checked for warnings at most: takes about two seconds."""


def read_file(file: str) -> RulesFile:
    """Return the rules in a file, or in standard input for `-`; InvalidInputError with every mistake."""
    if file == "-":
        return read_rules_file(sys.stdin.buffer.read().decode("utf-8", "surrogateescape"))
    return read_rules_file(Path(file))


def find_rule(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the rule with a name, else with that id; raises NotFoundError that suggests similar names."""
    found = next((row for row in rows if row["name"] == name), None)
    found = found or next((row for row in rows if str(row["id"]) == name), None)
    if found is None:
        hint = did_you_mean(name, (str(row["name"]) for row in rows), "usher rules list")
        raise NotFoundError(f"no rule is named {name!r}{hint}")
    return found


def recent_traffic() -> Traffic:
    """Return what recent events hold, for warnings about rules that ask for something else."""
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        return read_recent_traffic(connection, SystemClock().now(), settings.all_redacted).traffic


def warnings_of(book: RuleBook) -> dict[int, list[str]]:
    """Return the warnings by rule id; none for more than `MOST_JUDGED` rules."""
    found: dict[int, list[str]] = {}
    if len(book) <= MOST_JUDGED:
        for one in warnings(book):
            found.setdefault(one.rule_id, []).append(str(one))
    return found
