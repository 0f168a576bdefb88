"""Reads the rules that a command names, and collects warnings about them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.framework.terminal import note
from app.errors import NotFoundError, did_you_mean
from app.rules.book.rule_book import RuleBook
from app.rules.editing.rules_file import RulesFile, read_rules_file
from app.rules.warnings.rule_warnings import RuleWarning, warnings

RulesFileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="a rules file, YAML or JSON; - for standard input")
]
Warned = dict[str, list[str]]
"""Warnings by the name of the rule."""
MOST_WARNINGS = 10
"""Warnings of an edit that are shown at most: what was changed stands above them, and is to stay in sight."""
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


def warnings_of(book: RuleBook) -> dict[int, list[str]]:
    """Return the warnings by rule id; none for more than `MOST_JUDGED` rules."""
    found: dict[int, list[str]] = {}
    if len(book) <= MOST_JUDGED:
        for one in warnings(book):
            found.setdefault(one.rule_id, []).append(str(one))
    return found


def by_rule(warnings: Sequence[RuleWarning]) -> Warned:
    """Return the texts of warnings by the name of the rule."""
    warned: Warned = {}
    for one in warnings:
        warned.setdefault(one.rule_name, []).append(str(one))
    return warned


def warn(file: str, warned: Warned, most: int | None = None) -> None:
    """Print warnings, on standard error: all of them, or `most` and how many more there are."""
    lines = [f"{file}: warning: rule {name!r}: {line}" for name, texts in warned.items() for line in texts]
    note(*lines[:most])
    if most is not None and len(lines) > most:
        note(f"{file}: {len(lines) - most} more warnings; --json has them all")


def counted(read: RulesFile) -> str:
    """Return how many rules, lookups and agents a file has."""
    found = {"rules": read.rules, **read.tables}
    counts = ((key, len(rows)) for key, rows in found.items() if rows is not None)
    return ", ".join(f"{count} {key.removesuffix('s') if count == 1 else key}" for key, count in counts)
