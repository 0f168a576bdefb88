"""`/metrics`."""

from __future__ import annotations

import asyncio
import hmac
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.audit import queue_depth
from app.errors import DatabaseUnavailableError
from app.flows.orchestrator import Orchestrator
from app.server.caches.objectives_cache import METRICS_WINDOWS, Objectives, ObjectivesCache
from app.server.objective_metrics import set_gauges

_SCRAPE_WAIT_S = 1.0
"""A scrape right after the start waits so long for objectives; it may not fail for them."""
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsEndpoint:
    """What Prometheus asks."""

    def __init__(self, orchestrator: Orchestrator, readers: Engine, objectives: ObjectivesCache) -> None:
        self._orchestrator = orchestrator
        self._readers = readers
        self._objectives = objectives
        self._rendering = Lock()

    async def answer(self, request: Request) -> Response:
        """Answer the metrics in Prometheus form."""
        context = self._orchestrator.context
        token = context.settings.metrics_token.get_secret_value()
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(token.encode(), given.encode()):
            return PlainTextResponse("a bearer token is needed: see USHER_METRICS_TOKEN\n", 401)
        try:
            found: Objectives | None = await self._objectives.get(METRICS_WINDOWS, wait_at_most_s=_SCRAPE_WAIT_S)
        except DatabaseUnavailableError:
            found = None  # the counters alone are still worth an answer
        text = await asyncio.to_thread(self._render, found)
        return Response(text, headers={"content-type": _CONTENT_TYPE})

    def _render(self, found: Objectives | None) -> bytes:
        # One at a time: gauges are emptied and filled again.
        with self._rendering:
            self._refresh()
            if found is not None:
                set_gauges(self._orchestrator.context.metrics, found.items)
            return self._orchestrator.context.metrics.render()

    def _refresh(self) -> None:
        metrics, book = self._orchestrator.context.metrics, self._orchestrator.book
        metrics.rules_version.set(book.version)
        metrics.rules.set(len(book.rules))
        metrics.bad_rules.set(len(book.bad))
        metrics.writer_backlog.set(self._orchestrator.context.writer.backlog)
        try:
            with self._readers.connect() as connection:
                depth = queue_depth(connection, self._orchestrator.context.clock.now())
        except SQLAlchemyError:
            return
        metrics.queue_depth.set(depth.due)
        for status, count in depth.by_status.items():
            metrics.dispatches.labels(status).set(count)
