"""`/healthz` and `/readyz`."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.audit import sweep_heartbeats
from app.db import schema
from app.errors import SchemaMismatchError
from app.flows.orchestrator import Orchestrator


class HealthEndpoint:
    """Answers load balancers and operators."""

    def __init__(self, orchestrator: Orchestrator, readers: Engine) -> None:
        self._orchestrator = orchestrator
        self._readers = readers

    async def live(self, _request: Request) -> Response:
        """Answer 200 while the process runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Answer 200 with details while webhooks can be accepted, 503 with details while they cannot."""
        details = await self.details()
        if details["status"] == "ready":
            return JSONResponse(details)
        return JSONResponse(details, 503, headers={"Retry-After": "1"})

    async def details(self) -> dict[str, Any]:
        """Return the state of the database, the rules, the sweeps and the writer as a JSON object."""
        database = await asyncio.to_thread(self._database)
        book = self._orchestrator.book
        ready = database["status"] == "ok"
        return {
            "status": "ready" if ready else "not ready",
            "database": database,
            "rules": {
                "version": book.version,
                "rules": len(book.rules),
                "bad": [
                    {"id": bad.id, "name": bad.name, "problems": [str(one) for one in bad.problems]}
                    for bad in list(book.bad.values())[:100]
                ],
            },
            "writer_backlog": self._orchestrator.context.writer.backlog,
        }

    def _database(self) -> dict[str, Any]:
        try:
            with self._readers.connect() as connection:
                schema.require_current(connection)
                sweeps = {one.project: one.to_json() for one in sweep_heartbeats(connection)}
                return {"status": "ok", "sweeps": sweeps}
        except SchemaMismatchError as error:
            return {"status": "schema", "detail": str(error)}
        except SQLAlchemyError as error:
            return {"status": "unavailable", "detail": type(error).__name__}
