"""Faults of the simulator's webhooks: lost, sent twice, late, overtaken."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from app.simulator.schedule import Schedule
from app.simulator.webhooks import Sending, WebhookFacts, Webhooks


class Mishap(Enum):
    """One thing that goes wrong with one webhook."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    REORDER = "reorder"


@dataclass(slots=True)
class _Order:
    mishap: Mishap
    seconds: float
    wanted: Callable[[WebhookFacts], bool]
    left: int | None


@dataclass(slots=True)
class WebhookFaults:
    """Mishaps by order (such events, so many times), by script (the next webhooks) and by chance (a share of all).

    The first that applies is taken; chance is repeatable by `seed`. `hold_s`: how long a webhook that is to be
    overtaken waits for the next one of its room.
    """

    webhooks: Webhooks
    schedule: Schedule
    hold_s: float = 1.0
    seed: int = 0
    outage: bool = False
    """While true every webhook is lost, as if the receiver's address were wrong."""
    _orders: list[_Order] = field(default_factory=list)
    _script: deque[tuple[Mishap, float] | None] = field(default_factory=deque)
    _shares: list[tuple[float, Mishap, float]] = field(default_factory=list)
    _held: dict[tuple[str, str], Sending] = field(default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.webhooks.route = self._route

    def order(
        self,
        mishap: Mishap,
        *,
        event: str | None = None,
        room: str | None = None,
        identity: str | None = None,
        times: int | None = 1,
        seconds: float = 0.0,
    ) -> None:
        """Let `mishap` happen to the next `times` such webhooks (None: all); `seconds` is for DELAY and DUPLICATE."""

        def wanted(facts: WebhookFacts) -> bool:
            return event in (None, facts.event) and room in (None, facts.room) and identity in (None, facts.identity)

        self._orders.append(_Order(mishap, seconds, wanted, times))

    def script(self, *mishaps: tuple[Mishap, float] | None) -> None:
        """Let the next webhooks meet these mishaps one by one, each with its seconds; None lets one pass."""
        self._script.extend(mishaps)

    def by_chance(self, share: float, mishap: Mishap, *, seconds: float = 0.0) -> None:
        """Let `mishap` happen to this share of all webhooks."""
        self._shares.append((share, mishap, seconds))

    def clear(self) -> None:
        """Let every webhook pass from now on."""
        self._orders.clear()
        self._script.clear()
        self._shares.clear()
        self.outage = False

    def next(self, facts: WebhookFacts) -> tuple[Mishap, float] | None:
        """Return what happens to this webhook, with its seconds; None: nothing."""
        if self.outage:
            return Mishap.DROP, 0.0
        for order in self._orders:
            if order.wanted(facts):
                if order.left is not None:
                    order.left -= 1
                    if order.left == 0:
                        self._orders.remove(order)
                return order.mishap, order.seconds
        if self._script:
            return self._script.popleft()
        for share, mishap, seconds in self._shares:
            if self._random.random() < share:
                return mishap, seconds
        return None

    def _route(self, sending: Sending) -> None:
        mishap, seconds = self.next(sending.facts) or (None, 0.0)
        match mishap:
            case None:
                self._queue(sending)
            case Mishap.DROP:
                sending.outcome = "dropped: fault"
            case Mishap.DUPLICATE:
                self._queue(sending)
                again = Sending(sending.url, sending.id, sending.facts, sending.body, sending.queued)
                self.webhooks.sent.append(again)
                self.schedule.call_later(seconds, lambda: self._queue(again))
            case Mishap.DELAY:
                self.schedule.call_later(seconds, lambda: self._queue(sending))
            case Mishap.REORDER:
                self._hold(sending)

    def _queue(self, sending: Sending) -> None:
        if self.outage:  # it may have begun while this one was held back
            sending.outcome = "dropped: fault"
            return
        self.webhooks.queue(sending)
        overtaken = self._held.pop((sending.url, sending.facts.room), None)
        if overtaken is not None:
            self.webhooks.queue(overtaken)

    def _hold(self, sending: Sending) -> None:
        place = (sending.url, sending.facts.room)
        if place in self._held:
            self._queue(sending)
            return
        self._held[place] = sending

        def release() -> None:
            if self._held.get(place) is sending:
                del self._held[place]
                self.webhooks.queue(sending)

        self.schedule.call_later(self.hold_s, release)
