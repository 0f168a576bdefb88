"""Probes of agents over the API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from app.db.types import format_instant
from app.flows.probes.probe import ProbeCause
from app.flows.probes.probes_on_demand import MAX_TIMEOUT_S, WAIT_S
from app.json_shape import Instant
from app.server.api.framework.endpoint import ApiRequest, Model, Text


class ProbeOrder(Model):
    project: Text | None = Field(None, description="LiveKit project to probe in; null: the only one")
    timeout_s: float = Field(WAIT_S, ge=0.5, le=MAX_TIMEOUT_S, strict=False)


class ProbeOutcome(BaseModel):
    id: str
    project: str
    agent_name: str
    started_at: Instant
    arrived: bool
    milliseconds_to_agent: int | None = Field(description="null if it did not join")
    detail: str = Field(description="what LiveKit showed instead, for people")
    cause: ProbeCause | None = Field(description="why it did not join; null if it did")


async def probe_an_agent(request: ApiRequest) -> dict[str, Any]:
    order: ProbeOrder = request.body
    result = await request.context.probes.probe(
        request.identifier("agent_name"),
        user=request.user.user_id,
        project=order.project,
        timeout_s=order.timeout_s,
    )
    return {**asdict(result), "started_at": format_instant(result.started_at)}
