"""Too many connections, or too much held by them: the oldest that only wait are closed, and what works goes on."""

from __future__ import annotations

import pytest

from app.connections.connection_limits import MAX_CONNECTIONS, Limits, connections_within
from tests.unit.connections.wire import Server, settle

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_000


async def test_a_new_connection_takes_the_place_of_the_one_that_has_waited_longest() -> None:
    server = Server(Limits(connections=3))
    wires = [server.connect()[1] for _ in range(5)]
    assert [wire.is_aborted for wire in wires] == [True, True, False, False, False]
    assert server.closed("too_many") == 2


async def test_what_is_being_answered_is_not_closed_for_a_new_connection() -> None:
    server = Server(Limits(connections=2))
    server.may_answer.clear()
    busy, busy_wire = server.connect()
    busy.data_received(GET)
    await settle()
    _, waiting_wire = server.connect()
    _, new_wire = server.connect()
    assert [busy_wire.is_aborted, waiting_wire.is_aborted, new_wire.is_aborted] == [False, True, False]
    server.may_answer.set()
    await settle()
    assert busy_wire.statuses == [200]


async def test_connections_that_have_worked_are_closed_after_those_that_only_waited() -> None:
    server = Server(Limits(connections=2))
    used, used_wire = server.connect()
    used.data_received(GET)
    await settle()
    _, silent_wire = server.connect()
    server.connect()
    assert (used_wire.is_aborted, silent_wire.is_aborted) == (False, True)


async def test_a_new_connection_is_closed_only_if_all_others_work() -> None:
    server = Server(Limits(connections=2))
    used = [server.connect() for _ in range(2)]
    for connection, _ in used:
        connection.data_received(GET)
    await settle()
    (_, new_wire) = server.connect()
    # Those that wait for another request have waited longer
    assert [used[0][1].is_aborted, used[1][1].is_aborted, new_wire.is_aborted] == [True, False, False]
    busy = Server(Limits(connections=1))
    busy.may_answer.clear()
    working, working_wire = busy.connect()
    working.data_received(GET)
    await settle()
    assert (busy.connect()[1].is_aborted, working_wire.is_aborted) == (True, False)


async def test_all_together_hold_a_bounded_number_of_bytes() -> None:
    server = Server(Limits(unfinished_bytes=10_000))
    wires = []
    for _ in range(50):
        connection, wire = server.connect()
        connection.data_received(HALF_A_BODY)
        wires.append(wire)
        assert server.guard.unfinished_bytes <= 10_000
    assert [wire.is_aborted for wire in wires] == [True] * 41 + [False] * 9
    assert server.closed("too_much_unfinished") == 41


async def test_what_a_closed_connection_held_is_given_back() -> None:
    server = Server()
    connection, _ = server.connect()
    connection.data_received(HALF_A_BODY)
    assert server.guard.unfinished_bytes > 1_000
    connection.connection_lost(None)
    assert (server.guard.unfinished_bytes, server.guard.open_connections) == (0, 0)


@pytest.mark.parametrize(
    ("free", "connections"), [(0, 8), (20, 8), (44, 11), (100, 25), (300, 172), (1000, 872), (5000, MAX_CONNECTIONS)]
)
def test_descriptors_are_kept_back_for_the_database_and_livekit(free: int, connections: int) -> None:
    assert connections_within(free) == connections
