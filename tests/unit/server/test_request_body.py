"""A body is read whole or refused, announced or not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.errors import PayloadTooLargeError
from app.server.request_body import read_body


async def _read(chunks: Sequence[bytes], *, announced: bytes | None = None, ends: bool = True) -> bytes:
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request"} if ends else {"type": "http.disconnect"})
    taken = iter(messages)

    async def receive() -> Message:
        return next(taken)

    headers = [] if announced is None else [(b"content-length", announced)]
    return await read_body({"type": "http", "headers": headers}, receive, 10)


async def test_chunks_become_one_body() -> None:
    assert await _read([b"0123", b"", b"456789"]) == b"0123456789"
    assert await _read([]) == b""


async def test_a_body_that_is_too_large_is_refused() -> None:
    with pytest.raises(PayloadTooLargeError, match="10 bytes"):
        await _read([b"0123456", b"789x"])


async def test_a_body_announced_as_too_large_is_not_read() -> None:
    with pytest.raises(PayloadTooLargeError):
        await _read([], announced=b"11", ends=False)
    assert await _read([b"01"], announced=b"nonsense") == b"01"


async def test_a_client_that_goes_away_ends_the_reading() -> None:
    with pytest.raises(ClientDisconnect):
        await _read([b"01"], ends=False)
