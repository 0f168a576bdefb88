"""Deliver: what waits for a LiveKit that answers again is sent in the order in which the callers joined."""

from __future__ import annotations

from functools import partial

from app.flows.context import Context
from app.outbox.dispatch_store import hasten_retries

HASTEN_FOR_S = 5.0
"""So long after LiveKit was down: what was under way as it came back is noted as not reached later."""
HASTEN_EVERY_S = 0.5
HASTENED_AT_ONCE = 500
"""Dispatches that one transaction makes due: others wait for it, about 10 ms."""
PROBES = 8
"""Dispatches of a project that are under way at once while its LiveKit is down: they find out that it is back, and are
then served before all others, however long those have waited."""


class Recovery:
    """Notices when a project's LiveKit is back, and ends the delays of its retries, which are random."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._down_at: dict[str, float] = {}
        self._hastened_at: dict[str, float] = {}

    @property
    def unsettled(self) -> int:
        """How many projects' LiveKit is down, or was a moment ago: `hasten` must be called often."""
        return len(self._down_at)

    def limit(self, project: str) -> int:
        """Return how many retries of a project may be under way at once."""
        calls = self._context.settings.calls_in_flight
        return min(PROBES, calls) if self._context.clients[project].is_down else calls

    async def hasten(self) -> None:
        """Make dispatches due whose LiveKit was down a moment ago and is not now."""
        for project, client in self._context.clients.items():
            tick = self._context.clock.monotonic()
            if client.is_down:
                self._down_at[project] = tick
                self._hastened_at.pop(project, None)
            elif project in self._down_at:
                await self._hasten(project, tick)

    async def _hasten(self, project: str, tick: float) -> None:
        if tick - self._down_at[project] > HASTEN_FOR_S:
            del self._down_at[project]
        elif tick - self._hastened_at.get(project, float("-inf")) >= HASTEN_EVERY_S:
            self._hastened_at[project] = tick
            write = partial(hasten_retries, project=project, limit=HASTENED_AT_ONCE)
            while await self._context.writer.run(write, share=project) == HASTENED_AT_ONCE:
                pass
