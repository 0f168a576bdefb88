"""A simulated LiveKit whose time the test moves, and whose webhooks end in a list."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.simulator import ManualSchedule
from app.simulator.entities import Dispatch, DispatchOrder
from app.simulator.webhooks import Answer
from tests.simulator import Simulator


@dataclass
class Received:
    """One body that the receiver was sent."""

    at: float
    url: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def webhook(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def event(self) -> str:
        return str(self.webhook["event"])

    @property
    def room(self) -> str:
        webhook = self.webhook
        return str((webhook.get("room") or webhook["job"]["room"])["name"])

    @property
    def summary(self) -> str:
        """Return `event identity`, or the event alone."""
        participant = self.webhook.get("participant")
        return f"{self.event} {participant['identity']}" if participant else self.event


@dataclass
class Receiver:
    """Answers what `answer` says; 200 by default."""

    schedule: ManualSchedule
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Answer] = lambda _: Answer(200)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """A room named here gets its answers only when the gate is open."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        received = Received(self.schedule.monotonic(), url, body, dict(headers))
        self.received.append(received)
        if received.room in self.gates:
            await self.gates[received.room].wait()
        return self.answer(received)

    def summaries(self, room: str | None = None) -> list[str]:
        return [each.summary for each in self.received if room in {None, each.room}]

    def tries(self) -> Counter[str]:
        return Counter(each.webhook["id"] for each in self.received)


class World:
    """One simulator, its schedule and its receiver."""

    def __init__(self, **settings: Any) -> None:
        self.schedule = ManualSchedule()
        self.receiver = Receiver(self.schedule)
        settings.setdefault("webhook_urls", ["http://receiver.test/"])
        self.simulator = Simulator(schedule=self.schedule, post=self.receiver, seed=7, **settings)

    async def settle(self) -> None:
        """Let every task run as far as it comes without time passing."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def wait(self, seconds: float) -> None:
        """Let time pass, in steps small enough for tasks that sleep one pause after the other."""
        steps = max(1, round(seconds / 0.5))
        await self.settle()
        for _ in range(steps):
            self.schedule.advance(seconds / steps)
            await self.settle()

    def dispatch(self, room: str, agent_name: str = "greeter", **order: Any) -> Dispatch:
        """Create a dispatch as the API does."""
        return self.simulator.dispatches.create(
            room, DispatchOrder(agent_name, **order), asked=self.schedule.monotonic()
        )
