"""The Starlette application: all routes in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.audit import Objective
from app.clock import SystemClock
from app.errors import TooManyRequestsError, UsherError
from app.flows.loop import Loop
from app.flows.orchestrator import Orchestrator
from app.livekit.webhook_signature import Verifier
from app.server.access.anonymous_answers import AnonymousAnswers
from app.server.access.site import Site
from app.server.api.routes import api_routes
from app.server.caches.objectives_cache import METRICS_WINDOWS, REFRESH_S, ObjectivesCache
from app.server.console.error_pages import ErrorPages
from app.server.console.routes import console_routes, new_console
from app.server.documentation.routes import documentation_routes
from app.server.metrics_endpoint import MetricsEndpoint
from app.server.problems import problem
from app.server.request_context import RequestContext
from app.server.turns import Lane, Turns, may_be_long
from app.server.webhook import WEBHOOK_PATH, WebhookEndpoint
from app.server.workers.worker_pool import WorkerPool

if TYPE_CHECKING:
    from app.flows.outgoing.identity_provider import IdentityProvider

_HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
_BUSY = TooManyRequestsError("too many requests wait for their turn; try again", 1)

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(
    orchestrator: Orchestrator,
    verifier: Verifier,
    readers: Engine,
    workers: WorkerPool,
    *,
    key: str,
    lifespan: Lifespan,
    identity_provider: IdentityProvider | None = None,
) -> Starlette:
    """Return the application; `lifespan` starts and stops the flows, `key` signs links and cookies."""
    context = RequestContext(orchestrator, readers, workers, key, identity_provider)
    metrics = MetricsEndpoint(context)
    orchestrator.incidents.use_objectives(partial(_ready_objectives, context.objectives))
    refreshing = Loop("objectives", context.objectives.run_once, REFRESH_S, orchestrator.context.defects)

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        async with lifespan(app):
            refreshing.start()
            context.access.start()
            try:
                yield
            finally:
                await context.access.stop()
                await context.objectives.stop()
                await refreshing.stop()

    console = new_console(context)
    errors = ErrorPages(console)
    routes = [
        Route("/healthz", context.health.live),
        Route("/readyz", context.health.ready),
        Route("/metrics", metrics.answer),
        *api_routes(context),
        *console_routes(console),
        *documentation_routes(),
    ]
    handlers = {
        UsherError: errors.answer_problem,
        HTTPException: errors.answer_http,
        ClientDisconnect: _answer_nobody,
        Exception: errors.answer_defect,
    }
    turns, answers = Turns(orchestrator.context.clock), AnonymousAnswers(SystemClock())
    webhook = WebhookEndpoint(orchestrator, verifier, turns, answers)
    site = Middleware(Site, settings=orchestrator.context.settings)
    app = _Application(
        webhook, turns, answers, routes=routes, lifespan=running, exception_handlers=handlers, middleware=[site]
    )
    app.state.access = context.access
    return app


class _Application(Starlette):
    """Starlette, with webhooks answered before its routing and middleware, and before other requests."""

    def __init__(self, webhook: WebhookEndpoint, turns: Turns, answers: AnonymousAnswers, **options: Any) -> None:
        super().__init__(**options)
        self._answers = answers
        self._webhook = webhook
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == WEBHOOK_PATH:
                await self._webhook(scope, receive, send)
                return
            lane = Lane.HEALTH if scope["path"] in _HEALTH_PATHS else Lane.OTHER
            if self._turns.is_full(lane) and may_be_long(scope):
                await problem(_BUSY)(scope, receive, send)
                return
            await self._turns.take(lane)
            if lane is Lane.OTHER:
                send = self._answers.in_turn(scope, send)
        await super().__call__(scope, receive, send)


async def _ready_objectives(cache: ObjectivesCache) -> Sequence[Objective]:
    found = await cache.get(METRICS_WINDOWS, wait_at_most_s=0.0)
    return found.items


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    """Answer a peer that went away, or was cut off, before its body was whole: no defect, and nothing to log."""
    return Response(status_code=400)
