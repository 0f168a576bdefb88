"""Mutated webhooks against the whole application in one process: no answer is 5xx, no forgery is taken.

Half of the webhooks are changed after they were signed (body, token or header), half are changed first and signed
rightly. Only the second half may be answered 200, and the first only where the change left the signed bytes alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from app.logs import configure_logs
from app.settings import read_settings
from app.wiring import service
from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure, console_of_tables, show
from tests.benchmark.webhooks.traffic import Kind, Signer, bodies, encoded

COUNT, QUICK_COUNT = 100_000, 5_000
AT_ONCE = 64
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, 10**400, "", "0", "\0", "\ud800", "é" * 300, "x" * 70_000, [], {}, [[]],
    [None], {"": None}, {"a": {"b": []}}, "participant_joined", "AGENT", "SIP", "1" * 30, "{", '{"a":1}', "[" * 200,
)  # fmt: skip


def measure(*, quick: bool, count: int | None = None) -> list[Figure]:
    """Return how many of the mutated webhooks were answered 5xx, and how many forgeries were taken."""
    tally = asyncio.run(_run(count or (QUICK_COUNT if quick else COUNT)))
    answers = ", ".join(f"{status}: {many:,}" for status, many in sorted(tally.statuses.items()))
    total = sum(tally.statuses.values())
    shown = "; ".join(tally.samples[:3])
    failed = sum(many for status, many in tally.statuses.items() if status >= 500)
    return [
        Figure(f"{total:,} mutated webhooks, answered 5xx", "", [failed], Aim.AT_MOST, 0.0, note=shown or answers),
        Figure(f"{total:,} mutated webhooks, forgeries taken", "", [tally.forgeries], Aim.AT_MOST, 0.0, note=answers),
    ]


@dataclass(frozen=True, slots=True)
class _Webhook:
    """What is sent, and what LiveKit signed: the token without its signature, and the body."""

    body: bytes
    headers: list[tuple[bytes, bytes]]
    signed: tuple[str, bytes]

    @property
    def is_genuine(self) -> bool:
        """Whether the signed bytes are those that LiveKit signed; a token's signature alone proves nothing."""
        tokens = [value.decode("latin-1") for name, value in self.headers if name == b"authorization"]
        token = tokens[-1].removeprefix("Bearer ").strip() if tokens else ""
        return (token.rpartition(".")[0], self.body) == self.signed


@dataclass(slots=True)
class _Tally:
    statuses: Counter[int] = field(default_factory=Counter)
    forgeries: int = 0
    samples: list[str] = field(default_factory=list)


async def _run(count: int) -> _Tally:
    configure_logs("json")
    logging.disable()  # a line per refusal would be most of the work
    tally = _Tally()
    numbers = iter(range(count))
    try:
        with process.folder() as path:
            process.make_database(path)
            async with service(_settings(path)) as built:
                await asyncio.gather(*(_send_some(built.app, numbers, tally) for _ in range(AT_ONCE)))
                await built.orchestrator.stop()
    finally:
        logging.disable(logging.NOTSET)
    return tally


def _settings(path: Path) -> Any:
    return read_settings(
        {
            "LIVEKIT_URL": "http://127.0.0.1:9",  # no server listens there
            "LIVEKIT_API_KEY": process.KEY,
            "LIVEKIT_API_SECRET": process.SECRET,
            "DATABASE_URL": f"sqlite:///{path / 'usher.db'}",
            "USHER_SWEEP_INTERVAL": "0",
        }
    )


async def _send_some(app: ASGIApp, numbers: Any, tally: _Tally) -> None:
    for number in numbers:
        webhook = _mutated(number, random.Random(number))
        status = await _post(app, webhook)
        tally.statuses[status] += 1
        if status >= 500:
            tally.samples.append(f"{status}: number {number}")
        if status == 200 and not webhook.is_genuine:
            tally.forgeries += 1
            tally.samples.append(f"forgery: number {number}")


async def _post(app: ASGIApp, webhook: _Webhook) -> int:
    statuses: list[int] = []
    chunks = [webhook.body[: len(webhook.body) // 2], webhook.body[len(webhook.body) // 2 :]]

    async def receive() -> Message:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/livekit/webhook",
        "raw_path": b"/livekit/webhook",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": webhook.headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    try:
        await app(scope, receive, send)
    except Exception:  # noqa: BLE001 - the server would answer 500
        return 500
    return statuses[0] if statuses else 500


def _mutated(number: int, chance: random.Random) -> _Webhook:
    kind = Kind.CALLS if chance.random() < 0.5 else Kind.JOINS
    body = chance.choice(list(bodies(kind, f"m{number}", number)))
    signer = Signer(process.KEY, process.SECRET)
    if chance.random() < 0.5:
        body = chance.choice(_BEFORE_SIGNING)(body, chance)
        token = signer.token(body)
        return _Webhook(body, _headers(body, token), (token.rpartition(".")[0], body))
    token = signer.token(body)
    signed = (token.rpartition(".")[0], body)
    change = chance.randrange(3)
    if change == 0:
        body = chance.choice(_BEFORE_SIGNING)(body, chance)
    elif change == 1:
        token = _other_token(token, body, chance)
    headers = _headers(body, token)
    if change == 2:
        headers = _other_headers(headers, chance)
    return _Webhook(body, headers, signed)


def _headers(body: bytes, token: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/webhook+json"),
        (b"authorization", token.encode("latin-1", "replace")),
        (b"content-length", str(len(body)).encode()),
    ]


def _other_headers(headers: list[tuple[bytes, bytes]], chance: random.Random) -> list[tuple[bytes, bytes]]:
    name, value = headers[2]
    changes: list[list[tuple[bytes, bytes]]] = [
        [],
        [(name, b"")],
        [(name, b"Bearer " + value)],
        [(name, b"bearer " + value)],
        [(name, value + b" ")],
        [(name, value[: len(value) // 2])],
        [(name, b"Basic dTpw")],
        [(name, value), (name, b"x")],
        [(name, bytes(chance.randrange(32, 256) for _ in range(40)))],
        [(name, value), (b"content-length", b"-1")],
    ]
    return [*headers[:2], *chance.choice(changes), headers[3]]


def _other_token(token: str, body: bytes, chance: random.Random) -> str:
    head, claims, signature = token.split(".")
    match chance.randrange(8):
        case 0:
            return f"{_json_part({'alg': 'none', 'typ': 'JWT'})}.{claims}."
        case 1:
            return Signer(process.KEY, "another-secret-of-the-same-length-and-more").token(body)
        case 2:
            return Signer("another-key", process.SECRET).token(body)
        case 3:
            return Signer(process.KEY, process.SECRET).token(body + b" ")
        case 4:
            now = int(time.time()) + chance.choice([-10_000, 10_000])
            return f"{head}.{_json_part({'iss': process.KEY, 'exp': now + 300, 'nbf': now})}.{signature}"
        case 5:
            odd = {"iss": chance.choice([process.KEY, *_ODD[:10]]), "exp": chance.choice(_ODD[:12]), "sha256": 1}
            return f"{head}.{_json_part(odd)}.{signature}"
        case 6:
            return chance.choice(["", ".", "..", "...", "a.b.c", token * 3, head, f"{claims}.{head}.{signature}"])
        case _:
            place = chance.randrange(len(token))
            return token[:place] + chance.choice("AZaz09-_.=\0 é") + token[place + 1 :]


def _json_part(content: Any) -> str:
    return encoded(json.dumps(content).encode()).decode()


def _flipped(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.randrange(1, 6)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(body: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:start] + body[end:]


def _doubled(body: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:end] + body[start:]


def _replaced(body: bytes, chance: random.Random) -> bytes:
    """Return JSON in which one value, somewhere, is another; or one name, or one more."""
    content = json.loads(body)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, entry in entries:
            places.append((value, name))
            walk(entry)

    walk(content)
    for _ in range(chance.randrange(1, 4)):
        parent, name = chance.choice(places)
        odd = chance.choice(_ODD)
        if isinstance(parent, dict) and chance.random() < 0.2:
            parent[chance.choice(["\0", "", "turnPassword", "ы" * 50, "participant", "kind", "$or"])] = odd
        else:
            parent[name] = odd
    return json.dumps(content, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _other_json(_body: bytes, chance: random.Random) -> bytes:
    texts = ["", "null", "[]", "{}", '""', "0", "NaN", '{"event":NaN}', "[" * 5000, '{"a":' * 3000, "\xff", "{" * 9]
    return chance.choice(texts).encode("latin-1")


def _nested(body: bytes, chance: random.Random) -> bytes:
    content = json.loads(body)
    deep: Any = "x"
    for _ in range(chance.choice([10, 100, 400])):
        deep = {"a": deep} if chance.random() < 0.5 else [deep]
    metadata = json.dumps(deep)
    content["participant" if "participant" in content else "room"]["metadata"] = chance.choice([metadata, deep])
    return json.dumps(content).encode()


def _unchanged(body: bytes, _chance: random.Random) -> bytes:
    return body


_BEFORE_SIGNING: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flipped, _cut, _doubled, _replaced, _replaced, _replaced, _other_json, _nested, _unchanged,
)  # fmt: skip


def main() -> int:
    """Send as many as asked for (default: a million) and print the two figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.webhooks.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    figures = measure(quick=False, count=parser.parse_args().count)
    show(figures, console_of_tables())
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
