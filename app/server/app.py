"""The Starlette application: all routes in one place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.errors import UsherError
from app.pipeline.desk import Desk
from app.server.api.routes import api_routes
from app.server.health import HealthDoor
from app.server.office import Office
from app.server.problems import http_problem, problem
from app.server.webhook import WebhookDoor
from app.webhook.verify import Verifier

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(desk: Desk, verifier: Verifier, readers: Engine, key: str, lifespan: Lifespan) -> Starlette:
    """Return the application over flows that `lifespan` starts and stops; `key` signs sessions and links."""
    health = HealthDoor(desk, readers)
    office = Office(desk, readers, key)
    routes = [
        Route("/livekit/webhook", WebhookDoor(desk, verifier).__call__, methods=["POST"]),
        Route("/healthz", health.live),
        Route("/readyz", health.ready),
        Route("/metrics", health.metrics),
        *api_routes(office),
    ]
    handlers = {UsherError: _answer_problem, HTTPException: _answer_http}
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


async def _answer_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, UsherError):
        raise error
    return problem(error)


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such path, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    return http_problem(error)
