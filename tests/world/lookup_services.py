"""The HTTP services that lookups ask, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.flows.lookup.http_client import LookupFailedError


@dataclass(frozen=True)
class Question:
    """What a service was asked, and when."""

    url: str
    headers: Mapping[str, str]
    document: Mapping[str, Any]
    at: float


class LookupServices:
    """Services by the host of their URL: `answer` says what each answers; an unknown one refuses the connection."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}
        self.asked: list[Question] = []
        self.open = 0
        self.most_open = 0
        self._answers: dict[str, tuple[Callable[[Mapping[str, Any]], Any], float]] = {}

    def answer(self, name: str, value: Any, *, after: float = 0.1) -> None:
        """Let the service at `https://NAME.test` answer `value`, or what it returns for the document.

        Bytes are sent as they are; an exception is raised.
        """
        self._answers[f"{name}.test"] = (value if callable(value) else lambda _: value), after

    def questions(self, name: str) -> list[Question]:
        return [one for one in self.asked if f"//{name}.test/" in one.url]

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        document = json.loads(body)
        self.asked.append(Question(url, dict(headers), document, loop.time()))
        host = url.split("/")[2]
        if host not in self._answers:
            raise LookupFailedError("no connection")
        value, after = self._answers[host]
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(after)
        finally:
            self.open -= 1
        answer = value(document)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def close(self) -> None:
        """Nothing is open."""
