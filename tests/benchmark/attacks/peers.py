"""Peers that attack, a program of its own: `python -m tests.benchmark.attacks.peers NAME PORT PEERS`.

Each peer connects, sends what the attack says, and waits until it is cut off, or for as long as the attack says; after
a pause it begins anew. Ends when its standard input does, and prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import uvloop

PAUSE_S = 1.0
"""A peer that was cut off comes back after this time: 500 peers make at most 500 connections a second."""

_WEBHOOK = "POST /livekit/webhook HTTP/1.1\r\nHost: x\r\n"
_LOGIN = "POST /console/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"

Sent = Callable[[int], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Attack:
    """What each peer sends, given its number, and whether it reads the answers."""

    summary: str
    sent: Sent
    reads: bool = False


async def _pipelined(_number: int) -> AsyncIterator[bytes]:
    for _ in range(150):
        yield b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000


async def _unread_answers(_number: int) -> AsyncIterator[bytes]:
    yield b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50


async def _long_header(_number: int) -> AsyncIterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nX: "
    for _ in range(1_000):
        yield b"y" * 80_000


async def _half_a_head(_number: int) -> AsyncIterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 60_000


async def _dripped_head(_number: int) -> AsyncIterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nX: "
    for _ in range(1_000):
        yield b"y"
        await asyncio.sleep(0.1)


async def _half_a_body(_number: int) -> AsyncIterator[bytes]:
    yield f"{_WEBHOOK}Content-Length: 2000000\r\n\r\n".encode()
    for _ in range(19):
        yield b"x" * 100_000


async def _half_a_form(_number: int) -> AsyncIterator[bytes]:
    yield f"{_LOGIN}Content-Length: 8200000\r\n\r\n".encode()
    for _ in range(80):
        yield b"%41" * 33_333


async def _whole_forms(number: int) -> AsyncIterator[bytes]:
    body = f"name={number}".encode() + b"%41" * 5_000 + b"&password=x"
    yield f"{_LOGIN}Content-Length: {len(body)}\r\n\r\n".encode() + body
    await asyncio.sleep(1)


async def _long_token(_number: int) -> AsyncIterator[bytes]:
    yield f"{_WEBHOOK}Authorization: {'.' * 60_000}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    await asyncio.sleep(1)


async def _forged(number: int) -> AsyncIterator[bytes]:
    token = f"eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJiZW5jaG1hcmsifQ.{number:043d}"
    yield f"{_WEBHOOK}Authorization: {token}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    await asyncio.sleep(1)


async def _small_chunks(_number: int) -> AsyncIterator[bytes]:
    yield f"{_WEBHOOK}Transfer-Encoding: chunked\r\n\r\n".encode()
    for _ in range(100):
        yield b"1\r\nx\r\n" * 200


async def _silent(_number: int) -> AsyncIterator[bytes]:
    for _ in ():
        yield b""


ATTACKS = {
    "pipelined": Attack("requests without end, no answer read", _pipelined),
    "unread": Attack("long answers that nobody reads", _unread_answers),
    "long-header": Attack("a header of 80 MB", _long_header),
    "half-head": Attack("60 kB of a header, then nothing", _half_a_head),
    "dripped-head": Attack("a header, ten bytes a second", _dripped_head),
    "half-body": Attack("1.9 of 2 MB of a webhook, then nothing", _half_a_body),
    "half-form": Attack("8 MB of a login form, then nothing", _half_a_form),
    "forms": Attack("a login with a name of 5 kB each second", _whole_forms, reads=True),
    "long-token": Attack("a token of 60 kB each second", _long_token, reads=True),
    "forged": Attack("a webhook with a forged signature each second", _forged, reads=True),
    "chunks": Attack("a webhook in chunks of one byte", _small_chunks),
    "silent": Attack("connections on which nothing is sent", _silent),
}


async def _peer(attack: Attack, number: int, port: int, counts: Counter[str]) -> None:
    await asyncio.sleep(number % 100 / 100)  # 500 peers do not begin in one instant
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
            counts["connections"] += 1
            try:
                if attack.reads:
                    await _converse(attack, number, reader, writer, counts)
                else:
                    await _send(attack, number, writer)
                    await _cut_off(writer)
                    counts["cut off"] += 1
            finally:
                writer.close()
        await asyncio.sleep(PAUSE_S)


async def _send(attack: Attack, number: int, writer: asyncio.StreamWriter) -> None:
    # Not reading: the buffer of this end fills, then that of the other.
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of a socket
    async for data in attack.sent(number):
        writer.write(data)
        await writer.drain()


async def _cut_off(writer: asyncio.StreamWriter) -> None:
    """Wait until the server closes: a write then fails."""
    while not writer.is_closing():
        await asyncio.sleep(0.5)
        if writer.transport.get_write_buffer_size() == 0:
            writer.transport.resume_reading()  # type: ignore[attr-defined] # only now is the end of the stream seen


async def _converse(
    attack: Attack, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counter[str]
) -> None:
    while True:
        async for data in attack.sent(number):
            writer.write(data)
        answer = await reader.read(2**16)
        if not answer:
            counts["cut off"] += 1
            return
        counts[answer[9:12].decode("ascii", "replace")] += 1


async def _run(name: str, port: int, peers: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    tasks = [asyncio.create_task(_peer(ATTACKS[name], number, port, counts)) for number in range(peers)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return counts


if __name__ == "__main__":
    # Their own use of the processor is not the service's: they would have machines of their own.
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    print(json.dumps(uvloop.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
