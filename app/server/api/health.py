"""The state of this process over the API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from app.server.api.endpoint import ApiRequest
from app.server.health import HealthEndpoint


class Health(BaseModel):
    status: str
    database: dict[str, Any]
    rules: dict[str, Any]
    writer_backlog: int


async def read_health(request: ApiRequest) -> Any:
    return await HealthEndpoint(request.context.orchestrator, request.context.readers).details()
