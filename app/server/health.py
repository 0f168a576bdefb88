"""`/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
import hmac
import math
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.audit.objectives import objectives
from app.db import schema
from app.db.tables import LIVE, dispatches, heartbeats
from app.db.types import DispatchStatus, format_instant
from app.errors import SchemaMismatchError
from app.pipeline.desk import Desk
from app.server.objective_gauges import WINDOWS, set_gauges

_OBJECTIVES_EVERY_S = 30.0
"""Each costs the database some thousand rows, and several may scrape."""
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthDoor:
    """What a load balancer, an operator and Prometheus ask."""

    def __init__(self, desk: Desk, readers: Engine) -> None:
        self._desk = desk
        self._readers = readers
        self._rendering = Lock()
        self._objectives_at = -math.inf

    async def live(self, _request: Request) -> Response:
        """Answer that the process runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Answer whether webhooks can be taken, with details; 503 while they cannot."""
        details = await self.details()
        if details["status"] == "ready":
            return JSONResponse(details)
        return JSONResponse(details, 503, headers={"Retry-After": "1"})

    async def details(self) -> dict[str, Any]:
        """Return how the database, the rules and the sweep are."""
        database = await asyncio.to_thread(self._database)
        book = self._desk.book
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
            "writer_backlog": self._desk.context.writer.backlog,
        }

    async def metrics(self, request: Request) -> Response:
        """Answer the metrics in Prometheus form."""
        context = self._desk.context
        token = context.settings.metrics_token.get_secret_value()
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(token.encode(), given.encode()):
            return PlainTextResponse("a bearer token is needed: see USHER_METRICS_TOKEN\n", 401)
        text = await asyncio.to_thread(self._render)
        return Response(text, headers={"content-type": _CONTENT_TYPE})

    def _database(self) -> dict[str, Any]:
        try:
            with self._readers.connect() as connection:
                schema.require_current(connection)
                sweeps = connection.execute(select(heartbeats).where(heartbeats.c.component.startswith("sweep:")))
                return {
                    "status": "ok",
                    "sweeps": {
                        row["component"].removeprefix("sweep:"): {
                            "at": format_instant(row["beat_at"]),
                            **row["detail"],
                            "webhooks_silent": bool(row["detail"].get("untold")),
                        }
                        for row in sweeps.mappings()
                    },
                }
        except SchemaMismatchError as error:
            return {"status": "schema", "detail": str(error)}
        except SQLAlchemyError as error:
            return {"status": "unavailable", "detail": type(error).__name__}

    def _render(self) -> bytes:
        # One at a time: gauges are emptied and filled again.
        with self._rendering:
            self._refresh()
            return self._desk.context.metrics.render()

    def _refresh(self) -> None:
        metrics, book = self._desk.context.metrics, self._desk.book
        metrics.rules_version.set(book.version)
        metrics.rules.set(len(book.rules))
        metrics.bad_rules.set(len(book.bad))
        metrics.writer_backlog.set(self._desk.context.writer.backlog)
        now = self._desk.context.clock.now()
        by_status = select(dispatches.c.status, func.count()).where(dispatches.c.status.in_(LIVE))
        due = select(func.count()).where(
            dispatches.c.status.in_([DispatchStatus.PENDING, DispatchStatus.SENDING]),
            dispatches.c.next_attempt_at <= now,
        )
        try:
            with self._readers.connect() as connection:
                counts = {row[0]: row[1] for row in connection.execute(by_status.group_by(dispatches.c.status))}
                metrics.queue_depth.set(connection.execute(due).scalar_one())
                self._refresh_objectives(connection)
        except SQLAlchemyError:
            return  # the counters alone are still worth an answer
        for status in LIVE:
            metrics.dispatches.labels(status).set(counts.get(status, 0))

    def _refresh_objectives(self, connection: Connection) -> None:
        context = self._desk.context
        tick = context.clock.monotonic()
        if tick - self._objectives_at >= _OBJECTIVES_EVERY_S:
            self._objectives_at = tick
            set_gauges(context.metrics, objectives(connection, context.clock.now(), tuple(WINDOWS)))
