"""Requests that offer another protocol, as Java's HTTP client does over plain HTTP, are served as they are."""

from __future__ import annotations

import asyncio

import pytest

from app.connections.connection_limits import Limits
from tests.unit.connections.wire import Server, settle

GET = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
OFFERS = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
}
BODIES = {
    "none": (b"", b"", 0),
    "of a length": (b"Content-Length: 5\r\n", b"hello", 5),
    "in chunks": (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", 5),
    "that reads like a request": (b"Content-Length: %d\r\n" % len(GET), GET, len(GET)),
}


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("offer", OFFERS)
async def test_the_body_of_a_request_that_offers_an_upgrade_is_its_body(offer: str, body: str, piece: int) -> None:
    server = Server()
    connection, wire = server.connect()
    framing, sent, size = BODIES[body]
    request = b"POST / HTTP/1.1\r\nHost: x\r\n" + OFFERS[offer] + framing + b"\r\n" + sent
    both = request + request + GET
    for place in range(0, len(both), piece):
        connection.data_received(both[place : place + piece])
        server.clock.advance(0.01)
        await settle()
    async with asyncio.timeout(60):
        while len(wire.statuses) < 3:
            await settle()
    assert wire.statuses == [200, 200, 200]
    assert [len(each) for each in server.bodies] == [size, size, 0]
    assert (server.guard.unfinished_bytes, wire.is_closing()) == (0, False)


async def test_an_offer_does_not_hide_a_broken_body() -> None:
    server = Server(limits=Limits(stopping_s=0))
    connection, wire = server.connect()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + OFFERS["h2c"] + b"\r\n"
    connection.data_received(head + b"zz\r\nhello\r\n0\r\n\r\n" + GET)
    await settle()
    assert wire.statuses[-1:] == [400]
    assert wire.is_closing()
    assert server.closed("invalid") == 1
