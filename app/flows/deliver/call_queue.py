"""New dispatches that wait in memory for their first call, and the back-pressure when there are many of a project."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress

from app.outbox.dispatch import Dispatch

BACKPRESSURE_PER_CALL = 4
"""Queued dispatches per call slot from which on webhooks that bring more are answered later."""
BACKPRESSURE_MAX_S = 0.1
"""Longest delay of a webhook's answer while the queue is full: LiveKit sends the webhooks of a room one by one, so
more would only move the queue there."""


class CallQueue:
    """Knows since when each waits; each project has a queue of its own, so that one whose LiveKit hangs delays none."""

    def __init__(self, call_slots: int) -> None:
        self._limit = call_slots * BACKPRESSURE_PER_CALL
        self._since: dict[str, float] = {}
        self._lengths = Counter[str]()
        self._of_rooms = defaultdict[str, Counter[str]](Counter)
        """By project, how many of each room are queued."""
        self._has_room = defaultdict[str, asyncio.Event](asyncio.Event)

    def enter(self, dispatch: Dispatch, tick: float) -> None:
        """Add a dispatch at `tick` (monotonic seconds)."""
        self._since[dispatch.id] = tick
        self._lengths[dispatch.project] += 1
        self._of_rooms[dispatch.project][dispatch.room_name] += 1

    def leave(self, dispatch: Dispatch) -> float | None:
        """Remove a dispatch and return since when it waited; None if it is not there."""
        since = self._since.pop(dispatch.id, None)
        if since is not None:
            self._lengths[dispatch.project] -= 1
            rooms = self._of_rooms[dispatch.project]
            rooms[dispatch.room_name] -= 1
            if not rooms[dispatch.room_name]:
                del rooms[dispatch.room_name]
            if not self._is_full(dispatch.project):
                self._has_room[dispatch.project].set()
        return since

    async def back_pressure(self, project: str, room: str) -> None:
        """Return when the project's queue is short enough, or after `BACKPRESSURE_MAX_S`.

        Without it a burst of webhooks would be acknowledged faster than its agents are sent. A room with less than its
        share of the queue does not wait: another one has filled it.
        """
        rooms = self._of_rooms[project]
        if not self._is_full(project) or rooms[room] * len(rooms) < self._limit:
            return
        has_room = self._has_room[project]
        has_room.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(has_room.wait(), BACKPRESSURE_MAX_S)

    def _is_full(self, project: str) -> bool:
        return self._lengths[project] > self._limit
