"""A body is read whole or refused, announced or not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

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


async def test_a_sender_is_verified_once_before_much_of_a_body_is_kept() -> None:
    asked: list[int] = []
    received = 0

    async def receive() -> Message:
        nonlocal received
        received += 30_000
        return {"type": "http.request", "body": b"x" * 30_000, "more_body": received < 300_000}

    body = await read_body({"type": "http", "headers": []}, receive, 300_000, lambda: asked.append(received))
    assert len(body) == 300_000
    assert asked == [90_000]


async def test_a_short_body_costs_no_second_verification() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 2_000}

    scope: Scope = {"type": "http", "headers": []}
    assert await read_body(scope, receive, 300_000, lambda: pytest.fail("verified twice")) == b"x" * 2_000
