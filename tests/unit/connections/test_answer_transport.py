"""Answers to requests whose bodies have not arrived whole, on connections that end with them."""

from __future__ import annotations

import pytest

from app.connections.connection_limits import Limits
from app.connections.guarded_protocol import GuardedProtocol
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


def ends_in_time(connection: GuardedProtocol) -> bool:
    """Return whether a timer will close a connection that is kept."""
    timer = connection.timeout_keep_alive_task
    return timer is not None and not timer.cancelled()


async def test_a_kept_connection_is_closed_in_time_also_when_its_body_came_after_the_answer() -> None:
    server = Server(reads_bodies=False)
    connection, _ = server.connect()
    connection.data_received(CLOSING.replace(b"Connection: close\r\n", b""))
    await settle()
    connection.data_received(b"x" * 600)
    assert not ends_in_time(connection)  # the body is still coming
    connection.go_on()
    connection.data_received(b"x" * 400)
    await settle()
    assert ends_in_time(connection)


REFUSED = {
    "no HTTP": (b"FOO / HTTP/1.1\r\nHost: x\r\nContent-Length: 7000000\r\n\r\n", 400),
    "too many headers": (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 201, 431),
    "broken chunks": (CHUNKED + b"zz\r\nhello", 400),
}


@pytest.mark.parametrize("sent", REFUSED)
async def test_what_comes_after_a_refusal_is_thrown_away_in_turns_and_not_reset(sent: str) -> None:
    head, status = REFUSED[sent]
    server = Server()
    connection, wire = server.connect()
    connection.data_received(head)
    await settle()
    for _ in range(5):
        connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 10_000)
        assert wire.is_paused  # till it is its turn
        # Closed now, the connection would be reset, and a proxy would take the server for one that has failed
        assert (wire.statuses, wire.is_closing(), server.guard.unfinished_bytes) == ([status], False, 0)
        connection.go_on()
    await settle()
    assert server.bodies == []
    assert server.requests == server.disconnects  # who waits for the rest of the body is told
    limits = Limits()
    assert connection.overdue(server.clock.monotonic() + limits.body_s + 1, limits, is_stopping=False) == ""
    assert connection.rank() == 0  # the first to go where there are too many


async def test_a_refused_connection_is_closed_after_a_while() -> None:
    server = Server(limits=Limits(stopping_s=0))
    connection, wire = server.connect()
    connection.data_received(REFUSED["no HTTP"][0])
    await settle()
    assert (wire.statuses, wire.is_closed, wire.is_aborted) == ([400], True, False)
