"""The Starlette application: all routes in one place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.errors import UsherError
from app.pipeline.desk import Desk
from app.server.health import HealthDoor
from app.server.problems import problem
from app.server.webhook import WebhookDoor
from app.webhook.verify import Verifier

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(desk: Desk, verifier: Verifier, readers: Engine, lifespan: Lifespan) -> Starlette:
    """Return the application over flows that `lifespan` starts and stops."""
    health = HealthDoor(desk, readers)
    routes = [
        Route("/livekit/webhook", WebhookDoor(desk, verifier).__call__, methods=["POST"]),
        Route("/healthz", health.live),
        Route("/readyz", health.ready),
        Route("/metrics", health.metrics),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={UsherError: _answer_problem})


async def _answer_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, UsherError):
        raise error
    return problem(error)
