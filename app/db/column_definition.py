"""What the definition of a rule's column says: `app.db.rule_columns` has one for each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class ColumnKind(StrEnum):
    """What a column holds. It decides SQL type, JSON type, form control and how its value is read."""

    TEXT = "text"
    AGENT = "agent"
    CHOICE = "choice"
    FLAG = "flag"
    INSTANT = "instant"
    INTEGER = "integer"
    NUMBER = "number"
    LADDER = "ladder"
    PATTERN = "pattern"
    TEMPLATE = "template"


class FormSection(StrEnum):
    """A group of fields in the console's form; the value is its heading."""

    CALLERS = "Which callers"
    AGENT = "What happens, and with which data"
    ARRIVAL = "If the agent does not join"
    OBJECTIVE = "Objective"
    LIMITS = "When, and for how many callers"
    QUEUE = "How many calls at a time, and who waits"


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""The default of a column that every rule must give."""


@dataclass(frozen=True, slots=True)
class RuleColumn:
    """One column. `default` None means that the column may be null.

    `least` and `most` bound numbers, and the number of characters of texts; `below` is an exclusive upper bound.
    `in_database` says that the table has a CHECK for these bounds. `pattern` is what a whole text must match.
    """

    name: str
    kind: ColumnKind
    section: FormSection
    label: str
    help: str = ""
    default: Any = REQUIRED
    least: float | None = None
    most: float | None = None
    below: float | None = None
    unit: str = ""
    in_database: bool = False
    pattern: str | None = None
    must_be_object: bool = False
    choices: type[StrEnum] | None = None
    choice_labels: tuple[str, ...] = ()
    rows: int = 1
    """Lines of its form control; texts with more than one may hold line breaks."""

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED

    @property
    def is_nullable(self) -> bool:
        return self.default is None

    @property
    def is_document(self) -> bool:
        """Whether it holds JSON."""
        return self.kind in {ColumnKind.LADDER, ColumnKind.PATTERN, ColumnKind.TEMPLATE}

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The values of a choice, each with its label."""
        return tuple((str(value), label) for value, label in zip(self.choices or (), self.choice_labels, strict=True))

    @property
    def check(self) -> str | None:
        """The SQL condition of its CHECK constraint, if it has one of its own."""
        if not self.in_database:
            return None
        value = f"length({self.name})" if self.kind in {ColumnKind.TEXT, ColumnKind.AGENT} else self.name
        return f"{value} BETWEEN {self.least} AND {self.most}"
