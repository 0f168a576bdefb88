"""Answers of the API that are made of stored records, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.audit import CallHead, DispatchSummary, EventSummary, Page

EventPage = Annotated[Page[EventSummary], Field(title="EventPage")]
DispatchPage = Annotated[Page[DispatchSummary], Field(title="DispatchPage")]
CallPage = Annotated[Page[CallHead], Field(title="CallPage")]


class DispatchesChanged(BaseModel):
    done: list[str]
    refused: dict[str, str] = Field(description="by dispatch id, why nothing was done")


class DispatchesCancelled(DispatchesChanged):
    left_over: dict[str, str] = Field(description="by dispatch id, what stays at LiveKit of those that were cancelled")


class DispatchesRedriven(DispatchesChanged):
    made: dict[str, str] = Field(description="by dispatch id, the new dispatch in its place")


class Replayed(BaseModel):
    event_id: str | None = Field(description="of the new event; null with `dry_run`")
    status: Literal["accepted", "duplicate", "ignored", "would_be_replayed"]
    outcome: str | None
