"""What rules look like in the API, for the OpenAPI document: as written, as stored, as they change."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.db.types import OnMatch, Scope
from app.rules.warnings.rule_warnings import WarningKind


class Mistake(BaseModel):
    path: str
    message: str
    found: Any
    suggestion: str | None


class RuleWarning(BaseModel):
    """What is probably not meant as it is written: the rule works, but never matches, or asks for what never comes."""

    kind: WarningKind
    path: str
    message: str
    suggestion: str | None


class RuleColumns(BaseModel):
    """A rule as people write it; what is left out has its default."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[!-~]([ -~]*[!-~])?$", examples=["spanish support"])
    description: str = Field("", max_length=10_000)
    enabled: bool = True
    priority: int = Field(100, ge=-1_000_000, le=1_000_000, description="lower is tried first, ties by id")
    pattern: dict[str, Any] = Field(description="an Amazon EventBridge event pattern; see the rule language's page")
    agent_name: str = Field(min_length=1, max_length=256, pattern=r"^[!-~]([ -~]*[!-~])?$")
    metadata: Any = Field(None, description="JSON-e template of the job metadata; null: the default document")
    attributes: dict[str, Any] | None = Field(None, description="JSON-e template of the dispatch attributes")
    deployment: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]{1,63}$")
    scope: Scope = Scope.ROOM
    on_match: OnMatch = OnMatch.STOP
    rollout_percent: int = Field(100, ge=0, le=100)
    rollout_key: str = "participant.identity"
    active_hours: str | None = Field(None, description="OpenStreetMap opening hours, such as Mo-Fr 09:00-18:00; PH off")
    timezone: str = Field("UTC", description="an IANA time zone")
    holidays: str | None = Field(None, description="the country whose public holidays PH means, such as ES")
    answer_timeout_s: int = Field(15, ge=1, le=3600)
    max_attempts: int = Field(3, ge=1, le=100)
    fallback_agent_name: str | None = Field(None, min_length=1, max_length=256, pattern=r"^[!-~]([ -~]*[!-~])?$")
    recover: bool = False
    withdraw: bool = False
    objective_percent: float | None = Field(
        None, ge=1, lt=100, description="of its callers are to have their agent within `objective_s`; both or neither"
    )
    objective_s: float | None = Field(None, ge=0.1, le=3600)


class RuleDraft(RuleColumns):
    model_config = ConfigDict(extra="forbid")


class AnyRuleDraft(BaseModel):
    """A rule as far as it is written: see RuleDraft for the columns."""

    model_config = ConfigDict(extra="allow")


def _optional(name: str) -> tuple[Any, Any]:
    described = RuleColumns.model_fields[name]
    limits = {
        limit: getattr(mark, limit)
        for mark in described.metadata
        for limit in ("min_length", "max_length", "ge", "le", "lt", "pattern")
        if getattr(mark, limit, None) is not None
    }
    return described.annotation, Field(None, description=described.description, **limits)


_optional_columns: dict[str, Any] = {name: _optional(name) for name in RuleColumns.model_fields}
RuleChanges: Any = create_model(
    "RuleChanges",
    __config__=ConfigDict(extra="forbid"),
    __doc__="Columns of a rule to change; the others stay as they are.",
    **_optional_columns,
)


class Rule(BaseModel):
    """A rule as it is stored. Plain SQL may have put anything into its columns."""

    id: int
    name: Any
    description: Any
    enabled: Any
    priority: Any
    pattern: Any
    agent_name: Any
    metadata: Any
    attributes: Any
    deployment: Any
    scope: Any
    on_match: Any
    rollout_percent: Any
    rollout_key: Any
    active_hours: Any
    timezone: Any
    holidays: Any
    answer_timeout_s: Any
    max_attempts: Any
    fallback_agent_name: Any
    recover: Any
    withdraw: Any
    objective_percent: Any
    objective_s: Any
    version: int = Field(description="of its latest change; the ETag")
    created_at: datetime
    updated_at: datetime
    updated_by: str | None
    problems: list[Mistake] = Field(description="why it cannot be used and is skipped; empty when it can")
    warnings: list[RuleWarning]


class RulePage(BaseModel):
    items: list[Rule]
    next_cursor: str | None
    version: int = Field(description="of the whole rule book")


class RuleCheck(BaseModel):
    valid: bool
    errors: list[Mistake]
    warnings: list[RuleWarning] = Field(description="as it would stand in the book, instead of the rule of its name")


class ValueChange(BaseModel):
    path: str
    before: Any = None
    after: Any = None


class RuleChange(BaseModel):
    id: int = Field(description="the version of the rule book that the change led to")
    rule_id: int
    rule: str
    change: Literal["insert", "update", "delete"]
    values: list[ValueChange]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed_at: datetime
    changed_by: str


class RuleHistory(BaseModel):
    items: list[RuleChange]
    next_before_version: int | None = Field(description="ask with this as `before_version` for older changes")


class RuleDifference(BaseModel):
    rule: str
    id: int | None
    change: str
    values: list[ValueChange]


class WarningOfRule(RuleWarning):
    rule: str


class RulesChanged(BaseModel):
    version: int = Field(description="of the rule book now; with `dry_run` before")
    written: bool
    rules: list[RuleDifference]
    counts: dict[str, int]
    warnings: list[WarningOfRule] = Field(
        description="of the rules that stay, as they stand then; of very many only of those that change"
    )


class TrialOfEvent(BaseModel):
    event_id: str
    occurred_at: datetime
    room_name: str
    participant_identity: str
    matches: bool
    served: bool = Field(description="its agent would come, all other rules considered")
    why: str
    metadata: str | None
    attributes: dict[str, str] | None
    failure: str | None


class RuleTrial(BaseModel):
    events: int
    matches: int
    served: int
    items: list[TrialOfEvent]
