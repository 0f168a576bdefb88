"""Says which webhooks wait a moment for others, to share their transaction and its flush.

Of the eight webhooks of a call one leads to a dispatch, and nobody waits for what follows from most of the others. At
25 calls a second, each in a transaction of its own, they took half of the processor time of a call.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from app.clock import Clock
from app.lifecycle.departure import reason_of
from app.livekit.participant.role import Role
from app.livekit.vocabulary import JOB_EVENTS, JOINS, LEAVINGS, ROOM_OVER
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event

WINDOW_S: Final = 0.02
"""Longest wait. LiveKit posts the webhooks of a room one after the other: a caller joins 80 ms after `room_started`,
which has been answered by then."""
WAITS_PER_ROOM: Final = 10
"""Webhooks of one room that may wait in a second, so that LiveKit's queue of a busy room is held up by a fifth of the
time at most: beyond 200 webhooks LiveKit drops them."""


class BatchWindows:
    """Says for how long webhooks may wait; used by the event loop alone."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._waits = Counter[tuple[str, str]]()
        """By project and room, since `_since`."""
        self._since = 0.0

    def window_of(self, book: RuleBook, event: Event) -> float:
        """Return the seconds that `event` may wait for others before its transaction begins."""
        if _may_bring_calls(book, event):
            return 0.0
        now = self._now()
        if now - self._since >= 1.0:
            self._waits.clear()
            self._since = now
        room = (event.project, event.room_name)
        self._waits[room] += 1
        return WINDOW_S if self._waits[room] <= WAITS_PER_ROOM else 0.0


def _may_bring_calls(book: RuleBook, event: Event) -> bool:
    """Return whether `event` may lead to a dispatch, a replacement, or another call to LiveKit that a caller awaits."""
    if book.index.names_events or event.type in JOB_EVENTS:
        return True
    if event.type in JOINS:
        return event.participant_role == Role.CALLER or book.index.names_roles
    if event.type in LEAVINGS:  # an agent that is lost is replaced
        participant = event.document.get("participant")
        reason = reason_of(participant) if isinstance(participant, dict) else ""
        return event.participant_role != Role.CALLER and reason not in ROOM_OVER
    return False
