"""Reading the body of a request, bounded, for webhooks, the API and the console's forms."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.errors import PayloadTooLargeError
from app.translation import translatable

UNVERIFIED_BYTES = 64 * 1024
"""What is kept of a body before `verify_sender` is asked."""


async def read_body(
    scope: Scope, receive: Receive, max_bytes: int, verify_sender: Callable[[], None] | None = None
) -> bytes:
    """Return the body; PayloadTooLargeError beyond `max_bytes`, ClientDisconnect if the client goes away.

    `verify_sender` raises for a sender who may not send more than `UNVERIFIED_BYTES`; it is called once, and not for
    shorter bodies.
    """
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        if size > UNVERIFIED_BYTES and verify_sender is not None:
            verify_sender()
            verify_sender = None
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(translatable("the body is larger than %(most)s bytes", most=max_bytes))
