"""The state of this process over the API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from app.server.api.framework.endpoint import ApiRequest


class Health(BaseModel):
    status: str
    database: dict[str, Any]
    rules: dict[str, Any]
    lookups: dict[str, Any]
    rows: dict[str, Any]
    writer_backlog: int
    clock: dict[str, Any]
    livekit: dict[str, Any]
    incidents: list[dict[str, Any]]
    defects: dict[str, Any]


async def read_health(request: ApiRequest) -> Any:
    return (await request.context.health.read()).to_json()
