"""Answers to requests whose bodies have not arrived whole, on connections that end with them."""

from __future__ import annotations

import pytest

from app.connections.connection_limits import Limits
from tests.unit.connections.wire import Server, settle

HTTP_1_0 = b"POST / HTTP/1.0\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
CLOSING = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        (HTTP_1_0, [b"x" * 600, b"x" * 400]),
        (CLOSING, [b"x" * 600, b"x" * 400]),
        (CHUNKED, [b"3e8\r\n" + b"x" * 600, b"x" * 400 + b"\r\n0\r\n\r\n"]),
    ],
)
async def test_a_connection_is_closed_once_the_body_that_was_not_wanted_is_read(
    head: bytes, parts: list[bytes]
) -> None:
    server = Server(reads_bodies=False)
    connection, wire = server.connect()
    connection.data_received(head)
    await settle()
    for part in parts:
        # Closed before, the peer would get a reset connection in place of the answer
        assert (wire.statuses, wire.is_closing()) == ([200], False)
        connection.data_received(part)
        await settle()
    assert (wire.is_closed, wire.is_aborted) == (True, False)


async def test_a_body_that_was_not_wanted_is_not_waited_for_longer_than_others() -> None:
    server = Server(reads_bodies=False)
    connection, wire = server.connect()
    connection.data_received(CLOSING)
    await settle()
    limits = Limits()
    assert not connection.overdue(server.clock.monotonic() + limits.body_s, limits, is_stopping=False)
    assert connection.overdue(server.clock.monotonic() + limits.body_s + 1, limits, is_stopping=False) == "slow_body"
    connection.end("slow_body")
    assert (wire.statuses, wire.is_aborted) == ([200], True)


async def test_a_connection_is_closed_at_once_when_the_body_was_read() -> None:
    server = Server()
    connection, wire = server.connect()
    connection.data_received(CLOSING + b"x" * 1000)
    await settle()
    assert (wire.statuses, wire.is_closed, [len(body) for body in server.bodies]) == ([200], True, [1000])
