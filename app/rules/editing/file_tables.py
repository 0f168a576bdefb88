"""The tables that a rules file holds, each under a key of its own: what identifies a row, and what it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.agents import agent_check
from app.db.columns.lookup_columns import LOOKUP_COLUMNS, LOOKUP_STAMPS
from app.errors import Problem
from app.rules import columns as rule_columns
from app.rules.check import check_rule
from app.rules.lookups import lookup_check
from app.translation import translatable


@dataclass(frozen=True, slots=True, eq=False)
class FileTable:
    """A table in a rules file. `noun` is what messages call a row, `name` the column that identifies it."""

    key: str
    noun: str
    name: str
    columns: tuple[str, ...]
    """What people write, in the order of exports."""
    defaults: Mapping[str, Any]
    stamps: tuple[str, ...]
    """Columns that the check accepts, since the API shows them, but that files must not have."""
    check: Callable[[Mapping[str, Any]], list[Problem]]
    complete: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Returns a row with the defaults of columns that are left out."""

    def without_defaults(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a row that a file needs."""
        return {
            column: row[column]
            for column in self.columns
            if column in row and (column not in self.defaults or row[column] != self.defaults[column])
        }


RULES: Final = FileTable(
    "rules",
    translatable("a rule"),
    "name",
    rule_columns.WRITABLE,
    rule_columns.DEFAULTS,
    ("id", *rule_columns.STAMPS),
    check_rule,
    rule_columns.complete,
)
LOOKUPS: Final = FileTable(
    "lookups",
    translatable("a lookup"),
    "name",
    LOOKUP_COLUMNS,
    lookup_check.DEFAULTS,
    ("id", "version", *LOOKUP_STAMPS),
    lookup_check.check_lookup,
    lookup_check.complete,
)
AGENTS: Final = FileTable(
    "agents",
    translatable("an agent"),
    "agent_name",
    ("agent_name", *agent_check.EDITABLE),
    agent_check.DEFAULTS,
    (),
    agent_check.check_agent,
    agent_check.complete,
)
FILE_TABLES: Final = (RULES, LOOKUPS, AGENTS)
