"""What rules look like in the API, for the OpenAPI document: as written, as stored, as they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from app.db.column_definition import ColumnKind, RuleColumn
from app.db.rule_columns import COLUMN, MAX_AGENT_NAME, MAX_FALLBACKS, RULE_COLUMNS
from app.flows.rule_trial import TrialOfEvent
from app.rules.editing.difference import RuleDifference
from app.rules.editing.history import RuleChange
from app.rules.editing.table_edit import RowDifference
from app.rules.warnings.rule_warnings import RuleWarning


class Mistake(BaseModel):
    path: str
    message: str
    found: Any
    suggestion: str | None


_ONE_LINE: Final = r"^[!-~]([ -~]*[!-~])?$"
"""Printable ASCII: what clients may generate. Usher takes any printable characters."""


class Fallback(BaseModel):
    """An agent of `fallbacks`; what is left out is as in the rule."""

    model_config = ConfigDict(extra="forbid")

    agent_name: str = Field(min_length=1, max_length=MAX_AGENT_NAME, pattern=_ONE_LINE)
    answer_timeout_s: int | None = Field(None, ge=COLUMN["answer_timeout_s"].least, le=COLUMN["answer_timeout_s"].most)
    max_attempts: int | None = Field(None, ge=COLUMN["max_attempts"].least, le=COLUMN["max_attempts"].most)
    metadata: Any = None


_TYPES: Final[Mapping[ColumnKind, Any]] = {
    ColumnKind.TEXT: str,
    ColumnKind.AGENT: str,
    ColumnKind.FLAG: bool,
    ColumnKind.INSTANT: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})],
    ColumnKind.INTEGER: int,
    ColumnKind.NUMBER: float,
    ColumnKind.LADDER: Annotated[
        list[Any],
        WithJsonSchema(
            {
                "type": "array",
                "maxItems": MAX_FALLBACKS,
                "items": {
                    "anyOf": [
                        {"type": "string", "minLength": 1, "maxLength": MAX_AGENT_NAME, "pattern": _ONE_LINE},
                        Fallback.model_json_schema(),
                    ]
                },
            }
        ),
    ],
    ColumnKind.PATTERN: dict[str, Any],
    ColumnKind.TEMPLATE: Any,
}


def _column_type(column: RuleColumn) -> Any:
    kind: Any = column.choices or (dict[str, Any] if column.must_be_object else _TYPES[column.kind])
    return kind | None if column.is_nullable and kind is not Any else kind


def _column_limits(column: RuleColumn) -> dict[str, Any]:
    """Return the bounds of a column as arguments of `Field`."""
    if column.kind in {ColumnKind.INTEGER, ColumnKind.NUMBER}:
        limits: dict[str, Any] = {"ge": column.least, "le": column.most, "lt": column.below}
    else:
        one_line = _ONE_LINE if column.rows == 1 and column.most is not None else None
        pattern = f"^{column.pattern}$" if column.pattern else one_line
        limits = {"min_length": column.least or None, "max_length": column.most, "pattern": pattern}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _column_field(column: RuleColumn, *, optional: bool) -> tuple[Any, Any]:
    """Return the type and the `Field` of a column; `optional` for a request that may leave any column out."""
    default = None if optional else ... if column.is_required else column.default
    if column.choices and not (optional or column.is_required):
        default = column.choices(column.default)
    examples = None if optional or column.name != "name" else ["spanish support"]
    described = Field(default, description=column.help or None, examples=examples, **_column_limits(column))
    return _column_type(column), described


def _model(name: str, doc: str, columns: dict[str, Any]) -> Any:
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=doc, **columns)


RuleDraft: Any = _model(
    "RuleDraft",
    "A rule as people write it; a column that is left out has its default.",
    {column.name: _column_field(column, optional=False) for column in RULE_COLUMNS},
)
RuleChanges: Any = _model(
    "RuleChanges",
    "Columns of a rule to change; the others stay as they are.",
    {column.name: _column_field(column, optional=True) for column in RULE_COLUMNS},
)


class AnyRuleDraft(BaseModel):
    """A rule as far as it is written: see RuleDraft for the columns."""

    model_config = ConfigDict(extra="allow")


class RuleState(BaseModel):
    """What a stored rule has besides its columns."""

    version: int = Field(description="of its latest change; the ETag")
    created_at: datetime
    updated_at: datetime
    updated_by: str | None
    problems: list[Mistake] = Field(description="why the rule cannot be used and is skipped; empty when it can")
    warnings: list[RuleWarning]


# Plain SQL may have put anything into the columns.
_stored_columns: dict[str, Any] = {column.name: (Any, ...) for column in RULE_COLUMNS}
Rule: Any = create_model(
    "Rule",
    __base__=RuleState,
    __doc__="A rule as it is stored.",
    id=(int, ...),
    **_stored_columns,
)


class RulePage(BaseModel):
    items: list[Rule]
    next_cursor: str | None
    version: int = Field(description="of the whole rule book")


class RuleCheck(BaseModel):
    valid: bool
    errors: list[Mistake]
    warnings: list[RuleWarning] = Field(description="as it would stand in the book, instead of the rule of its name")


class RuleHistory(BaseModel):
    items: list[RuleChange]
    next_before_version: int | None = Field(description="ask with this as `before_version` for older changes")


@dataclass(frozen=True, kw_only=True)
class WarningOfRule(RuleWarning):
    """A warning, and the name of the rule."""

    rule: str


class TableChanged(BaseModel):
    version: int = Field(description="of the table now; with `dry_run` before")
    changes: list[RowDifference]
    counts: dict[str, int]


class RulesChanged(BaseModel):
    version: int = Field(description="of the rule book now; with `dry_run` before")
    written: bool
    rules: list[RuleDifference]
    counts: dict[str, int]
    lookups: TableChanged | None = Field(description="null if the file says nothing about lookups")
    agents: TableChanged | None = Field(description="null if the file says nothing about agents")
    warnings: list[WarningOfRule] = Field(
        description="of the rules that stay, as they stand then; of very many only of those that change"
    )


class RuleTrial(BaseModel):
    events: int
    matches: int
    served: int
    items: list[TrialOfEvent]
