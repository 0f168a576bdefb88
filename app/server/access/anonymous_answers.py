"""Answers requests that prove nothing at a bounded rate while webhooks come and many peers ask, whatever they ask for.

A peer that waits for its answer sends its next request no sooner, so the rate of answers bounds that of requests, and
what they cost webhooks. Requests of users, by session or token, and LiveKit's webhooks are not counted.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Message, Scope, Send

from app.clock import Clock
from app.fair_queue import FairQueue
from app.server.access.networks import address_of, network_of
from app.server.turns import may_be_long
from app.token_bucket import TokenBucket

PER_SECOND: Final = 150.0
"""Answers of all addresses together: at half a millisecond each, a thirteenth of a processor."""
AT_ONCE: Final = 150.0
"""A page before the login takes five requests of a browser that has not been here before."""
AFTER_WEBHOOK_S: Final = 1.0
"""So long after a webhook answers wait; without webhooks there is nothing to hold up."""
MAX_WAITING: Final = 1_000
"""Answers that wait; more go at once. Peers that wait for them are fewer, and to those that hung up nothing is sent."""
FEW_PEERS: Final = 16
"""So many connections within a second may ask as fast as they are answered, as a test does that sends forged webhooks
one after the other: they hold up a webhook by an answer each."""
_TICK_S: Final = 0.02


def mark_identified(request: Request) -> None:
    """Note that a valid session, token or password came with the request: its answer does not wait."""
    request.state.is_identified = True


class AnonymousAnswers:
    """Lets answers go in turn: one of each address, then the next of each.

    So a flood from some addresses holds up others by one answer each. Behind a proxy that does not pass addresses on
    (FORWARDED_ALLOW_IPS), all share one queue.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._bucket = TokenBucket(PER_SECOND, AT_ONCE)
        self._waiting = FairQueue()
        self._number_waiting = 0
        self._is_ticking = False
        self._webhook_at = -AFTER_WEBHOOK_S
        self._peers: set[Any] = set()
        self._peers_since = -1.0
        self._are_many = False

    def note_webhook(self) -> None:
        """Note that a signed webhook has come."""
        self._webhook_at = self._now()

    def in_turn(self, scope: Scope, send: Send) -> Send:
        """Return `send`, which waits before the answer begins unless the request was marked by `mark_identified`."""

        async def send_in_turn(message: Message) -> None:
            if message["type"] == "http.response.start" and not scope.get("state", {}).get("is_identified"):
                await self.wait(scope)
            await send(message)

        return send_in_turn

    async def wait(self, scope: Scope) -> None:
        """Return when the answer to an anonymous request may be sent.

        Answers to long requests do not wait: until they are answered, what arrives of them is kept; then the guard
        of connections throws it away, in turns of its own.
        """
        now = self._now()
        is_quiet = now - self._webhook_at >= AFTER_WEBHOOK_S and not self._waiting
        if (
            not self._is_crowd(scope.get("client"), now)
            or is_quiet
            or may_be_long(scope)
            or self._number_waiting >= MAX_WAITING
        ):
            return
        if not self._waiting and self._bucket.available(now):
            self._bucket.spend(1)
            return
        turn = self._waiting.enter(network_of(address_of(scope)))
        self._number_waiting += 1
        self._tick_later()
        try:
            await turn
        finally:
            self._number_waiting -= 1

    def _is_crowd(self, peer: Any, now: float) -> bool:
        """Return whether more than `FEW_PEERS` connections have asked within this second or the last."""
        if now - self._peers_since >= 1.0:
            self._are_many = len(self._peers) > FEW_PEERS and now - self._peers_since < 2.0
            self._peers, self._peers_since = set(), now
        if len(self._peers) <= FEW_PEERS:
            self._peers.add(peer)
        return self._are_many or len(self._peers) > FEW_PEERS

    def _tick_later(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        for _ in range(self._bucket.available(self._now())):
            if self._waiting.grant():
                self._bucket.spend(1)
        if self._waiting:
            self._tick_later()
