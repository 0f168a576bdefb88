"""Sends webhooks as LiveKit does: signed, in strict order per room, retried a little, then dropped.

Source: livekit/protocol `webhook/resource_url_notifier.go` and go-retryablehttp, whose defaults it keeps.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import jwt

from app.logs import get_logger
from app.simulator.entities import Identifiers, Participant, Room, Track
from app.simulator.schedule import Schedule
from app.simulator.timing import WEBHOOK_QUEUE_LIMIT, WEBHOOK_TRIES, Timing
from app.simulator.webhook_bodies import build_body

log = get_logger(__name__)

_VALID_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said: its status (0: no connection) and its Retry-After in seconds, if any."""

    status: int
    retry_after: float | None = None

    @property
    def retryable(self) -> bool:
        return self.status in (0, 429) or (self.status >= 500 and self.status != 501)


class Post(Protocol):
    """Sends one body once."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class WebhookFacts:
    """What a webhook is about."""

    event: str
    room: str
    identity: str


@dataclass(slots=True)
class Sending:
    """One webhook on its way to one receiver, and what became of it."""

    url: str
    id: str
    facts: WebhookFacts
    body: bytes
    queued: float
    tries: int = 0
    status: int = 0
    outcome: str = "waiting"
    """waiting, delivered (any answer that is not retried, 4xx too), failed, dropped: <why>."""


@dataclass(slots=True)
class _Queue:
    waiting: deque[Sending] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None


def sign(body: bytes, key: str, secret: str, schedule: Schedule) -> str:
    """Return the token that goes into `Authorization`, without "Bearer": HS256 over the SHA-256 of `body`."""
    now = schedule.now()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": key, "iat": now, "nbf": now, "exp": now + _VALID_FOR, "sha256": digest}
    return jwt.encode(claims, secret, algorithm="HS256")


class Webhooks:
    """The notifier of the simulated server. `sent`: what it tried to send, latest last.

    `route` gets each webhook before it is queued; tests put losses and delays there.
    """

    def __init__(
        self,
        *,
        urls: Sequence[str],
        key: str,
        secret: str,
        post: Post,
        schedule: Schedule,
        timing: Timing,
        identifiers: Identifiers,
        keep: int = 100_000,
    ) -> None:
        self.urls = list(urls)
        self.key = key
        self.secret = secret
        self.route: Callable[[Sending], None] = self.queue
        self.sent: deque[Sending] = deque(maxlen=keep)
        self._post = post
        self._schedule = schedule
        self._timing = timing
        self._identifiers = identifiers
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._running = True
        self._idle = asyncio.Event()
        self._idle.set()

    def notify(
        self,
        event: str,
        room: Room,
        participant: Participant | None = None,
        track: Track | None = None,
        *,
        job: Mapping[str, Any] | None = None,
        end_reason: str = "",
    ) -> None:
        """Queue one event about `room` for every receiver, as it stands now."""
        if not self.urls or not self._running:
            return
        event_id = self._identifiers.new("EV_")
        body = build_body(
            event,
            room,
            participant,
            track,
            event_id=event_id,
            at=self._schedule.now(),
            job=job,
            end_reason=end_reason,
        )
        facts = WebhookFacts(event, room.name, participant.identity if participant else "")
        for url in self.urls:
            sending = Sending(url, event_id, facts, body, self._schedule.monotonic())
            self.sent.append(sending)
            self.route(sending)

    async def drained(self) -> None:
        """Return when nothing is queued any more."""
        await self._idle.wait()

    def start(self) -> None:
        """Send again after a stop."""
        self._running = True

    async def stop(self) -> None:
        """Drop what is queued, as a killed server does, whose queues are in memory; send nothing until `start`."""
        self._running = False
        workers = [queue.worker for queue in self._queues.values() if queue.worker]
        self._queues.clear()
        self._idle.set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def queue(self, sending: Sending) -> None:
        """Queue one webhook behind the others of its room and receiver."""
        if not self._running:
            sending.outcome = "dropped: server stopped"
            return
        place = (sending.url, sending.facts.room)
        queue = self._queues.setdefault(place, _Queue())
        sending.queued = self._schedule.monotonic()
        if len(queue.waiting) >= WEBHOOK_QUEUE_LIMIT:
            sending.outcome = "dropped: queue full"
            return
        queue.waiting.append(sending)
        self._idle.clear()
        if queue.worker is None:
            queue.worker = asyncio.get_running_loop().create_task(self._work(place, queue))

    async def _work(self, place: tuple[str, str], queue: _Queue) -> None:
        while queue.waiting:
            sending = queue.waiting.popleft()
            if self._schedule.monotonic() - sending.queued > self._timing.webhook_age_limit:
                sending.outcome = "dropped: too old"
                log.info("dropped webhook", reason="age", event_name=sending.facts.event)
                continue
            await self._send(sending)
        queue.worker = None
        self._queues.pop(place, None)
        if not any(each.waiting or each.worker for each in self._queues.values()):
            self._idle.set()

    async def _send(self, sending: Sending) -> None:
        # Signed once before the retries, so a late retry carries an old token.
        headers = {
            "Authorization": sign(sending.body, self.key, self.secret, self._schedule),
            "Content-Type": "application/webhook+json",
            "User-Agent": "LiveKit",
        }
        wait = self._timing.webhook_retry_first
        for number in range(1, WEBHOOK_TRIES + 1):
            answer = await self._post(sending.url, sending.body, headers)
            sending.tries, sending.status = number, answer.status
            if not answer.retryable:
                sending.outcome = "delivered"
                return
            if number < WEBHOOK_TRIES:
                await self._schedule.sleep(self._pause(answer, wait))
                wait *= 2
        sending.outcome = "failed"
        log.info("failed to send webhook", status=sending.status, event_name=sending.facts.event)

    def _pause(self, answer: Answer, wait: float) -> float:
        # go-retryablehttp obeys Retry-After on 429 and 503, whatever it says.
        if answer.status in (429, 503) and answer.retry_after is not None:
            return answer.retry_after * self._timing.webhook_retry_first
        return wait
