"""What lookups look like in the API, for the OpenAPI document: as written, as stored, as tested."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.rules.lookups.lookup_check import DEFAULTS, MAX_CACHE_S, MAX_TIMEOUT_MS
from app.server.api.framework.endpoint import Model, Text
from app.server.api.rule_shapes import Mistake
from app.webhook.lookup_answers import AnswerStatus

EXAMPLE = {
    "pattern": {"participant": {"kind": ["SIP"]}},
    "url": "https://crm.example.com/usher",
    "headers": {"authorization": "env:CRM_TOKEN"},
    "on_error": {"tier": "unknown"},
}


class LookupDraft(BaseModel):
    """A lookup as people write it; a column that is left out has its default."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", description="another name than that of the path renames it", examples=["crm"])
    enabled: bool = True
    pattern: dict[str, Any] = Field(description="which joins it is asked about; `{}` for every caller")
    url: str = Field(examples=["https://crm.example.com/usher"])
    headers: dict[str, str] | None = Field(
        None, description="`env:NAME` takes the value from an environment variable", examples=[{"x-tenant": "acme"}]
    )
    timeout_ms: int = Field(DEFAULTS["timeout_ms"], ge=1, le=MAX_TIMEOUT_MS)
    cache_s: int = Field(DEFAULTS["cache_s"], ge=0, le=MAX_CACHE_S)
    on_error: Any = Field(None, description="stands for the answer when none comes in time")


class LookupRow(LookupDraft):
    """A lookup in a rules file."""

    name: str = Field(description="which lookup it is; another name is another lookup", examples=["crm"])


class Lookup(BaseModel):
    """A lookup as it is stored; plain SQL may have put anything into its columns."""

    id: int
    name: Any
    enabled: Any
    pattern: Any
    url: Any
    headers: Any
    timeout_ms: Any
    cache_s: Any
    on_error: Any
    version: int = Field(description="of its latest change; the ETag")
    created_at: datetime
    updated_at: datetime
    updated_by: str | None
    problems: list[Mistake] = Field(description="why it cannot be used and is not asked; empty when it can")
    missing_variables: list[str] = Field(description="environment variables of its headers that are not set")


class LookupList(BaseModel):
    items: list[Lookup]


class LookupTestOrder(Model):
    """The event to ask about: the id of a stored one, or a webhook body."""

    event_id: Text | None = None
    event: dict[str, Any] | None = Field(None, description="a webhook body")
    project: Text | None = Field(None, description="LiveKit project of `event`; null: the only one")


class LookupTested(BaseModel):
    matches: bool = Field(description="whether the lookup, while enabled, is asked about this event")
    status: AnswerStatus
    answer: Any = Field(description="with another status than `ok`: its `on_error`")
    error: str = Field(description="why there is no answer; empty with `ok`")
    seconds: float
    sent: dict[str, Any] = Field(description="the document that was posted")
