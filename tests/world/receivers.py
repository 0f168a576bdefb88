"""The people and programs that Usher sends messages to, without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.incidents.messages.delivery import SendOutcome

HANGS_S = 20.0
"""As long as the real senders wait."""


@dataclass(frozen=True)
class Notice:
    """A message that a channel got."""

    url: str
    title: str
    text: str
    is_open: bool


@dataclass(frozen=True)
class Post:
    """A webhook that a program got."""

    url: str
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.document["type"])


@dataclass
class Receivers:
    """Takes what is sent; to a URL in `failing` attempts fail, to one in `hanging` they end after `HANGS_S`.

    What hangs fails then, unless its URL has left `hanging` meanwhile.
    """

    notices: list[Notice] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    failing: dict[str, SendOutcome] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    attempts: list[str] = field(default_factory=list)

    async def notify(self, url: str, title: str, body: str, *, is_open: bool) -> SendOutcome:
        outcome = await self._attempt(url)
        if outcome.delivered:
            self.notices.append(Notice(url, title, body, is_open))
        return outcome

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> SendOutcome:
        outcome = await self._attempt(url)
        if outcome.delivered:
            self.posts.append(Post(url, headers, body))
        return outcome

    async def _attempt(self, url: str) -> SendOutcome:
        self.attempts.append(url)
        if url in self.hanging:
            await asyncio.sleep(HANGS_S)
            if url in self.hanging:
                return SendOutcome(delivered=False, text="no answer")
        return self.failing.get(url, SendOutcome(delivered=True, text="", status=200))

    async def close(self) -> None:
        """Nothing is open."""
