"""Baseline of the acknowledgements: a Starlette app that verifies with the SDK, answers 200, and does nothing else."""

from __future__ import annotations

import os

from livekit.api import TokenVerifier, WebhookReceiver
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_receiver = WebhookReceiver(TokenVerifier(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]))


async def webhook(request: Request) -> Response:
    """Answer 200 to what LiveKit signed."""
    body = await request.body()
    _receiver.receive(body.decode(), request.headers["authorization"])
    return Response()


async def live(_request: Request) -> Response:
    """Answer that the server is up."""
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/livekit/webhook", webhook, methods=["POST"]), Route("/healthz", live)])
