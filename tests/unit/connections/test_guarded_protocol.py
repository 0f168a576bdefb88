"""What a peer can make a connection hold, before anybody knows who it is."""

from __future__ import annotations

import asyncio

import pytest

from app.connections.connection_limits import Limits
from tests.unit.connections.wire import Server, settle

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD_OF_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_peer_that_does_not_read_gets_no_more_work() -> None:
    server = Server()
    server.may_answer.clear()
    connection, wire = server.connect()
    connection.data_received(GET * 9_000)
    await settle()
    assert server.requests == 1
    assert wire.is_paused
    assert server.guard.unfinished_bytes == len(GET) * 9_000  # nothing is copied to cut off what has been read


async def test_a_peer_that_reads_gets_an_answer_to_each_request_in_order() -> None:
    server = Server()
    connection, wire = server.connect()
    connection.data_received(GET * 50)
    connection.data_received(HEAD_OF_BODY + b"x" * 1000 + GET[:7])
    while len(wire.statuses) < 51:
        await settle()
    assert (server.requests, wire.is_paused) == (51, False)
    connection.data_received(GET[7:])
    await settle()
    assert wire.statuses == [200] * 52
    assert [len(body) for body in server.bodies] == [0] * 50 + [1000, 0]
    assert server.guard.unfinished_bytes == 0


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 64, 10_000])
async def test_requests_may_arrive_in_pieces_of_any_size(piece: int) -> None:
    server = Server()
    connection, wire = server.connect()
    sent = GET + HEAD_OF_BODY + b"x" * 1000 + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET
    for place in range(0, len(sent), piece):
        connection.data_received(sent[place : place + piece])
        if piece < 5:
            server.clock.advance(0.01)
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while len(wire.statuses) < 4:
            await settle()
    assert wire.statuses == [200] * 4
    assert [len(body) for body in server.bodies] == [0, 1000, 5, 0]
    assert server.guard.unfinished_bytes == 0


async def test_the_next_request_waits_until_the_peer_takes_its_answer() -> None:
    server = Server()
    server.may_answer.clear()
    connection, wire = server.connect()
    connection.data_received(GET * 3)
    await settle()
    connection.pause_writing()  # by the transport: 64 KiB wait to be sent
    server.may_answer.set()
    await settle()
    assert server.requests == 1
    connection.resume_writing()
    while len(wire.statuses) < 3:
        await settle()
    assert server.requests == 3


async def test_nothing_is_kept_of_a_body_once_it_is_answered() -> None:
    server = Server(reads_bodies=False)
    for length, sent in ((8_200_000, 250_000), (250_000, 250_000)):
        connection, wire = server.connect()
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        connection.data_received(head.encode() + b"x" * sent)
        while not wire.statuses:
            await settle()
        assert len(connection.cycle.body) == 0
        connection.data_received(b"x" * 100_000)
        await settle()
        assert len(connection.cycle.body) == 0


async def test_requests_behind_a_chunked_body_are_few_or_refused() -> None:
    server = Server()
    for behind, statuses in ((10, [200] * 11), (100, [400])):
        connection, wire = server.connect()
        connection.data_received(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET * behind)
        while len(wire.statuses) < len(statuses):
            await settle()
        assert wire.statuses == statuses


AT_ONCE = Limits(stopping_s=0)
"""What is refused is closed in the next turn of the event loop."""
TOO_LARGE = {
    "one long header": b"X: " + b"y" * 70_000,
    "a long path": b"GET /" + b"y" * 70_000,
    "many short headers": b"a:\r\n" * 201,
    "empty lines": b"\r\n" * 201,
    "a whole head": b"X: " + b"y" * 65_530 + b"\r\n\r\n",
}


@pytest.mark.parametrize("attack", TOO_LARGE)
@pytest.mark.parametrize("piece", [1_000, 262_144])
async def test_headers_have_at_most_64_kib_and_200_lines(attack: str, piece: int) -> None:
    server = Server(limits=AT_ONCE)
    connection, wire = server.connect()
    start = b"" if attack in {"a long path", "empty lines"} else GET[:-2]
    sent = start + TOO_LARGE[attack]
    taken = 0
    while taken < len(sent) and not wire.statuses:
        connection.data_received(sent[taken : taken + piece])
        taken += piece
    await settle()
    assert wire.statuses == [431]
    assert wire.is_closed
    assert server.requests == 0
    assert server.closed("large_headers") == 1


async def test_headers_of_64_kib_are_taken() -> None:
    server = Server()
    connection, wire = server.connect()
    connection.data_received(GET[:-2] + b"X: " + b"y" * (65_536 - len(GET) - 5) + b"\r\n\r\n")
    await settle()
    assert wire.statuses == [200]


HOSTILE_CHUNKS = {
    "a long extension": (b"1;" + b"x" * 70_000, 431),
    "headers behind the body": (b"0\r\nX: " + b"y" * 70_000, 431),
    "a byte in each": (b"1\r\nx\r\n" * 101, 400),
    "few bytes in each": ((b"64\r\n" + b"x" * 100 + b"\r\n") * 101, 400),
}


@pytest.mark.parametrize("attack", HOSTILE_CHUNKS)
async def test_what_is_no_body_in_a_chunked_body_is_bounded(attack: str) -> None:
    server = Server(limits=AT_ONCE)
    sent, status = HOSTILE_CHUNKS[attack]
    connection, wire = server.connect()
    connection.data_received(CHUNKED)
    await settle()
    for place in range(0, len(sent), 8_192):
        if not wire.is_closing():
            connection.data_received(sent[place : place + 8_192])
            await settle()
    assert wire.statuses == [status]
    assert wire.is_closed


async def test_nothing_that_was_held_back_is_served_after_the_connection_is_closed() -> None:
    server = Server()
    server.may_answer.clear()
    connection, wire = server.connect()
    connection.data_received(GET[:-2] + b"Connection: close\r\n\r\n" + GET * 5)
    server.may_answer.set()
    await settle()
    assert wire.is_closed
    connection.connection_lost(None)
    await settle()
    assert server.requests == 1
    assert (server.guard.open_connections, server.guard.unfinished_bytes) == (0, 0)


async def test_a_body_behind_an_early_answer_is_not_kept_and_read_in_turns() -> None:
    server = Server(reads_bodies=False)
    connections = [server.connect() for _ in range(10)]
    for connection, _ in connections:
        connection.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
    await settle()
    assert all(wire.statuses == [200] for _, wire in connections)
    read = 0
    for _ in range(30):
        for connection, wire in connections:
            if not wire.is_paused:
                connection.data_received(b"x" * 262_144)
                read += 1
        await settle()
    # 62 turns at once, of 64 KiB each; the clock stands still. The first read of each is overdrawn.
    assert 62 // 5 <= read <= 62 // 5 + 12
    assert server.guard.unfinished_bytes == 0
    assert not any(wire.is_closing() for _, wire in connections)


async def test_pipelined_requests_of_all_connections_are_answered_in_turns() -> None:
    server = Server()
    connections = [server.connect() for _ in range(5)]
    for connection, _ in connections:
        connection.data_received(GET * 1_000)
    for _ in range(100):
        await settle()
    answered = [len(wire.statuses) for _, wire in connections]
    assert sum(answered) == 5 + 62  # the first of each needs no turn, and the clock stands still
    assert max(answered) - min(answered) <= 1


@pytest.mark.parametrize("beginning", [b"GET / HTTP/1.1\r\nX: ", HEAD_OF_BODY])
async def test_requests_that_drip_in_are_read_in_turns(beginning: bytes) -> None:
    server = Server()
    connections = [server.connect() for _ in range(50)]
    for connection, _ in connections:
        connection.data_received(beginning)
    read = 0
    for _ in range(100):
        for connection, wire in connections:
            if not wire.is_paused:
                connection.data_received(b"x")
                read += 1
        await settle()
    # Eight pieces of each are free, and 62 turns at once; the clock stands still.
    assert 50 * 7 + 62 <= read <= 50 * 9 + 62
    server.clock.advance(60)
    async with asyncio.timeout(60):
        while connections[0][1].is_paused:  # noqa: ASYNC110 - the guard has no event for it
            await asyncio.sleep(0.01)


async def test_a_long_body_in_packets_waits_for_no_turn() -> None:
    server = Server()
    connection, wire = server.connect()
    connection.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
    for _ in range(50):
        connection.data_received(b"x" * 1_200)
        assert not wire.is_paused
    await settle()
    assert wire.statuses == [200]


@pytest.mark.parametrize("stopping", [False, True])
async def test_slow_peers_are_cut_off(stopping: bool) -> None:
    server = Server()
    limits, now = Limits(), server.clock.monotonic()
    silent, half_a_head, half_a_body, idle, unread = (server.connect()[0] for _ in range(5))
    half_a_head.data_received(GET[:10])
    half_a_body.data_received(HEAD_OF_BODY + b"x" * 10)
    idle.data_received(GET)
    unread.data_received(GET)
    await settle()
    unread.transport.unsent = 10  # type: ignore[attr-defined] # the transport is a Wire
    connections = [silent, half_a_head, half_a_body, idle, unread]

    def overdue(seconds: float) -> list[str]:
        return [one.overdue(now + seconds, limits, is_stopping=stopping) for one in connections]

    assert overdue(0.1) == [""] * 5
    if stopping:
        assert overdue(2.5) == ["slow_headers", "slow_headers", "slow_body", "", "stalled"]
    else:
        assert overdue(9.9) == [""] * 5
        assert overdue(10.2) == ["slow_headers", "slow_headers", "", "", ""]
        assert overdue(15.3) == ["slow_headers", "slow_headers", "slow_body", "", "stalled"]


async def test_a_peer_that_reads_slowly_is_not_cut_off() -> None:
    server = Server()
    connection, wire = server.connect()
    connection.data_received(GET)
    now = server.clock.monotonic()
    for number in range(10):
        wire.unsent = 1_000 - number
        assert connection.overdue(now + number * 10, Limits(), is_stopping=False) == ""


async def test_a_handler_that_is_slow_is_not_the_fault_of_the_peer() -> None:
    server = Server()
    server.may_answer.clear()
    connection, _ = server.connect()
    connection.data_received(GET)
    await settle()
    now = server.clock.monotonic()
    assert connection.overdue(now + 1000, Limits(), is_stopping=False) == ""


async def test_a_late_body_is_answered_408_and_a_silent_connection_closed() -> None:
    server = Server()
    (silent, silent_wire), (late, late_wire) = server.connect(), server.connect()
    late.data_received(HEAD_OF_BODY + b"x" * 10)
    server.clock.advance(16)
    server.guard.start()
    while not (silent_wire.is_closing() and late_wire.is_closing()):  # noqa: ASYNC110 - the guard has no event for it
        await asyncio.sleep(0.05)
    server.guard.stop()
    assert silent_wire.is_aborted
    assert late_wire.statuses == [408]
    for connection in (silent, late):
        connection.connection_lost(None)
    await settle()
    assert (server.requests, server.disconnects) == (1, 1)
    assert (server.closed("slow_headers"), server.closed("slow_body")) == (1, 1)
