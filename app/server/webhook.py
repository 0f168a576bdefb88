"""`POST /livekit/webhook`, a plain ASGI application.

LiveKit sends about eight webhooks per call, so this endpoint is dispatched before Starlette's routing and middleware:
they took a quarter of the time of a webhook, and have no use for it.
"""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.clock import new_id
from app.errors import (
    DatabaseUnavailableError,
    PayloadTooLargeError,
    SignatureRefusedError,
    UnreadableWebhookError,
    WriteRefusedError,
)
from app.flows.accept.accept import Acceptance
from app.flows.orchestrator import Orchestrator
from app.livekit.webhook_signature import Verifier
from app.logs import LineSampler, get_logger
from app.server.access.anonymous_answers import AnonymousAnswers
from app.server.problems import http_problem, problem
from app.server.request_body import read_body
from app.server.turns import Turns
from app.webhook.event import Event
from app.webhook.parse import parse

_log = get_logger(__name__)

WEBHOOK_PATH = "/livekit/webhook"

BODY_MAX_BYTES = 2 * 1024 * 1024
"""LiveKit allows 512 KiB of metadata on a room and on a participant; everything else is small."""

RETRY_AFTER_S = 1

COMMIT_WITHIN_S = 4.0
"""A webhook that is not committed by then is answered 503, so that LiveKit sends it again: a database that hangs would
otherwise hold it, and the webhooks of its room behind it, until LiveKit drops them. If it is committed after all, the
next one is a duplicate."""


def _answer(status: str) -> tuple[Message, Message]:
    body = f'{{"status":"{status}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return (
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


_ANSWERS = {status: _answer(status) for status in ("accepted", "duplicate", "ignored")}


class WebhookEndpoint:
    """Verifies and parses a webhook, and answers 200 only once its event is committed."""

    def __init__(self, orchestrator: Orchestrator, verifier: Verifier, turns: Turns, answers: AnonymousAnswers) -> None:
        self._orchestrator = orchestrator
        self._turns = turns
        self._answers = answers
        self._verifier = verifier
        self._sampler = LineSampler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 200 with what became of the event, or a problem document.

        401: signature refused; 400 and 413: unreadable or too large; 503: the event could not be committed, or the
        database refuses it, so LiveKit should send it again.
        """
        status, refusal = await self._accept(scope, receive)
        if refusal is not None:
            if refusal.status_code < 500:
                await self._answers.wait(scope)
            await refusal(scope, receive, send)
            return
        start, body = _ANSWERS[status]
        await send(start)
        await send(body)

    async def _accept(self, scope: Scope, receive: Receive) -> tuple[str, Response | None]:
        """Return what became of the event, or the answer that refuses the webhook."""
        if scope["method"] != "POST":
            return "", http_problem(HTTPException(405, headers={"Allow": "POST"}))
        context = self._orchestrator.context
        received_at = context.clock.now()
        project = ""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        try:
            body = await read_body(scope, receive, BODY_MAX_BYTES, lambda: self._verifier.require_signed(authorization))
            signature = self._verifier.verify(body, authorization)
            project = signature.project
            self._answers.note_webhook()
            event = parse(body, signature, received_at, new_id(), context.settings.redact_of(signature.project))
            event = context.delivery_delays.dated(event)
            with self._turns.webhook():
                acceptance = await self._receive(event)
        except SignatureRefusedError as error:
            context.metrics.refused.labels(error.reason).inc()
            self._log_refusal(error.reason, detail=str(error))
            return "", problem(error)
        except (UnreadableWebhookError, PayloadTooLargeError) as error:
            reason = "unreadable" if error.status == 400 else "too_large"
            context.metrics.refused.labels(reason).inc()
            self._log_refusal(reason, project=project, detail=str(error))
            return "", problem(error)
        except (DatabaseUnavailableError, WriteRefusedError) as error:
            # LiveKit retries what was answered 5xx for about 15 s; after that, the sweep finds the caller.
            context.metrics.refused.labels("database").inc()
            self._log_refusal("database", project=project, detail=str(error))
            return "", problem(error, headers={"Retry-After": str(RETRY_AFTER_S)})
        except ClientDisconnect:
            context.metrics.refused.labels("disconnected").inc()
            return "", Response(status_code=400)
        context.metrics.webhooks.labels(project, acceptance.status).inc()
        return acceptance.status, None

    def _log_refusal(self, reason: str, **fields: str) -> None:
        """Log the refusal of a webhook; `not_logged` says how many of that reason were left out before it."""
        left_out = self._sampler.admit(reason, self._orchestrator.context.clock.monotonic())
        if left_out is None:
            return
        if left_out:
            fields["not_logged"] = str(left_out)
        if reason == "database":
            _log.error("webhook not accepted", **fields)
        else:
            _log.warning("webhook refused", reason=reason, **fields)

    async def _receive(self, event: Event) -> Acceptance:
        try:
            async with asyncio.timeout(COMMIT_WITHIN_S):
                return await self._orchestrator.receive(event)
        except TimeoutError as error:
            message = f"the database has not committed the webhook within {COMMIT_WITHIN_S:g} s"
            raise DatabaseUnavailableError(message) from error
