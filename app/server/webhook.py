"""`POST /livekit/webhook`: the first door."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.clock import new_id
from app.errors import (
    DatabaseUnavailableError,
    PayloadTooLargeError,
    SignatureRefusedError,
    UnreadableWebhookError,
)
from app.logs import get_logger
from app.pipeline.desk import Desk
from app.server.problems import problem
from app.webhook.parse import parse
from app.webhook.verify import Verifier

_log = get_logger(__name__)

BODY_MAX_BYTES = 2 * 1024 * 1024
"""LiveKit allows 512 KiB of metadata on a room and on a participant each; all else is small."""

RETRY_AFTER_S = 1

_ANSWERS = {status: f'{{"status":"{status}"}}'.encode() for status in ("accepted", "duplicate", "ignored")}


class WebhookDoor:
    """Verifies, parses, and answers 200 only once the event is committed."""

    def __init__(self, desk: Desk, verifier: Verifier) -> None:
        self._desk = desk
        self._verifier = verifier

    async def __call__(self, request: Request) -> Response:
        """Answer one webhook as DESIGN 1.3 says."""
        context = self._desk.context
        received_at = context.clock.now()
        project = ""
        try:
            body = await _read(request)
            signature = self._verifier.verify(body, request.headers.get("authorization"))
            project = signature.project
            event = parse(body, signature, received_at, new_id(), context.settings.redact)
            acceptance = await self._desk.receive(event)
        except SignatureRefusedError as error:
            context.metrics.refused.labels(error.reason).inc()
            _log.warning("webhook refused", reason=error.reason, detail=str(error))
            return problem(error)
        except (UnreadableWebhookError, PayloadTooLargeError) as error:
            context.metrics.refused.labels("unreadable" if error.status == 400 else "too_large").inc()
            _log.warning("webhook refused", project=project, detail=str(error))
            return problem(error)
        except DatabaseUnavailableError as error:
            # LiveKit repeats what was answered 5xx, for about 15 s; then the sweep finds it.
            context.metrics.refused.labels("database").inc()
            _log.error("webhook not accepted", project=project, detail=str(error))
            return problem(error, headers={"Retry-After": str(RETRY_AFTER_S)})
        except ClientDisconnect:
            context.metrics.refused.labels("disconnected").inc()
            return Response(status_code=400)
        context.metrics.webhooks.labels(project, acceptance.status).inc()
        return Response(_ANSWERS[acceptance.status], media_type="application/json")


async def _read(request: Request) -> bytes:
    too_large = PayloadTooLargeError(f"the body is larger than {BODY_MAX_BYTES} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > BODY_MAX_BYTES:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_MAX_BYTES:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)
