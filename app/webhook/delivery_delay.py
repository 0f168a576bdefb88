"""For how long webhooks were under way: a caller has waited since joining, also while LiveKit retried the webhook.

The times in webhooks are of LiveKit's clock, which may be minutes off ours. The difference between the two is the
shortest time that a webhook of the last minutes seems to have taken; what one took beyond that is its delay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from app.livekit.vocabulary import JOINS
from app.livekit.webhook_delivery import QUEUE_MAX_AGE_S, RETRY_DELAYS_S
from app.webhook.event import Event

CERTAIN_S: Final = 1.0
"""Shortest delay that counts: `createdAt` has whole seconds, and LiveKit's first retry comes after one."""
MAX_DELAY_S: Final = QUEUE_MAX_AGE_S + sum(RETRY_DELAYS_S)
"""Longest delay that LiveKit can cause: the oldest webhook that it still takes from its queue, with all retries.

What seems to have taken longer was sent by a node whose clock is off, or a clock was set: its delay is not known.
"""
_COMPARED_FOR_S: Final = 60.0
"""Webhooks of this and the previous span of so many seconds are compared. A failure cannot make all of a span late:
LiveKit drops what is older than `MAX_DELAY_S`."""
_MAX_DIFFERENCE_S: Final = 600.0
"""Times further off are no difference of clocks: LiveKit's signatures are valid for five minutes."""


class DeliveryDelays:
    """Estimates delays of webhooks and sweeps, of each project by itself."""

    def __init__(self) -> None:
        self._differences: dict[str, _Difference] = {}

    def dated(self, event: Event) -> Event:
        """Return the event of a webhook that has come, with `waiting_since` if it is a join and was delayed."""
        sent_at = _sent_at(event)
        if sent_at is None:
            return event
        at, difference = event.received_at.timestamp(), self._of(event.project)
        seconds = at - sent_at
        if abs(seconds) > _MAX_DIFFERENCE_S:
            return event
        difference.note(seconds, at)
        delay = seconds - difference.seconds
        if event.type not in JOINS or not CERTAIN_S < delay <= MAX_DELAY_S:
            return event
        return replace(event, waiting_since=event.received_at - timedelta(seconds=delay))

    def dated_by_sweep(self, event: Event, interval_s: float) -> Event:
        """Return what a sweep found, with `waiting_since` if it is a join.

        The caller waits since joining, but counts for at most two sweeps: one of them would have found it, unless no
        sweep was made, or the clock of the caller's node is off.
        """
        joined_at = _joined_at(event)
        if event.type not in JOINS or joined_at is None:
            return event
        seconds = event.received_at.timestamp() - joined_at - self._of(event.project).seconds
        delay = min(seconds, max(MAX_DELAY_S, 2 * interval_s))
        if delay <= CERTAIN_S:
            return event
        return replace(event, waiting_since=event.received_at - timedelta(seconds=delay))

    def _of(self, project: str) -> _Difference:
        return self._differences.setdefault(project, _Difference())


@dataclass(slots=True)
class _Difference:
    """The shortest time that webhooks seem to have taken; below zero if LiveKit's clock is ahead of ours.

    Until webhooks of a whole span were compared, the clocks are taken to agree, or LiveKit's to be ahead: the first
    webhooks after a failure may be late ones.
    """

    shortest: float = math.inf
    before: float = 0.0
    began_at: float | None = None

    @property
    def seconds(self) -> float:
        """How far LiveKit's clock is behind ours, with the time that a webhook takes at least."""
        return min(self.shortest, self.before)

    def note(self, seconds: float, at: float) -> None:
        if self.began_at is None:
            self.began_at = at
        elif not 0 <= at - self.began_at < _COMPARED_FOR_S:
            self.before, self.shortest, self.began_at = self.shortest, seconds, at
        self.shortest = min(self.shortest, seconds)


def _sent_at(event: Event) -> float | None:
    """Return when LiveKit made the webhook, by its clock: at the second of its `createdAt`, and not before the join."""
    created_at, joined_at = _seconds(event.document.get("createdAt")), _joined_at(event)
    found = [one for one in (created_at, joined_at) if one is not None]
    return None if created_at is None else max(found)


def _joined_at(event: Event) -> float | None:
    participant = event.document.get("participant")
    milliseconds = participant.get("joinedAtMs") if isinstance(participant, dict) else None
    return _seconds(milliseconds, 1000.0)


def _seconds(value: Any, per_second: float = 1.0) -> float | None:
    # A number in a body may be beyond every float.
    return value / per_second if isinstance(value, int | float) and 0 < value < 1e14 else None
