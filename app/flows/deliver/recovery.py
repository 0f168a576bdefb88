"""Deliver: what waits for a LiveKit that answers again is sent in the order in which the callers joined."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial

from app.flows.context import Context
from app.flows.deliver.start_limiter import StartLimiter, Window
from app.livekit.client import LiveKitClient
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import hasten_retries

HASTEN_FOR_S = 5.0
"""So long after LiveKit was down: what was under way as it came back is noted as not reached later."""
HASTEN_EVERY_S = 0.5
HASTENED_AT_ONCE = 500
"""Dispatches that one transaction makes due: others wait for it, about 10 ms."""
PROBES = 8
"""Dispatches of a project that are under way at once, and begun in a second, while its LiveKit is down: they find out
that it is back, and are then served before all others, however long those have waited."""


class Recovery:
    """Notices when a project's LiveKit is back, and ends the delays of its retries, which are random.

    A process that has just started does not know whether LiveKit was down until then.
    """

    def __init__(self, context: Context, limiter: StartLimiter) -> None:
        self._context = context
        # With few calls per second the probes of a LiveKit that is back would wait for each other longer than a lease.
        self._at_once = min(PROBES, context.settings.calls_in_flight, limiter.at_once)
        self._is_paced = limiter.paced
        self._probes = defaultdict[str, Window](partial(Window, float(PROBES)))
        self._down_at = dict.fromkeys(context.clients, context.clock.monotonic())
        self._hastened_at: dict[str, float] = {}
        self._has_answered: set[str] = set()

    @property
    def unsettled(self) -> int:
        """How many projects' LiveKit is down, or was a moment ago: `hasten` must be called often."""
        return len(self._down_at)

    def slots(self, projects: Iterable[str], in_use: Mapping[str, int]) -> tuple[dict[str, int], set[str]]:
        """Return how many more retries of each project may be claimed, if any, and the projects whose LiveKit is down.

        `in_use`: how many are under way, by project. Of a project whose LiveKit is down few are claimed.
        """
        down = {project for project, client in self._context.clients.items() if self._seems_down(client)}
        free = {}
        for project in projects:
            if project in down:
                probes = self._probes[project].free(self._context.clock.monotonic())
                free[project] = min(self._at_once - in_use[project], probes)
            else:
                free[project] = self._context.settings.calls_in_flight - in_use[project]
        return {project: count for project, count in free.items() if count > 0}, down

    def _seems_down(self, client: LiveKitClient) -> bool:
        """Return whether LiveKit is down; with a limit of calls per second two calls in a row are enough.

        A LiveKit that hangs at few calls takes half a minute to be known as down. What is claimed for it meanwhile
        leads to no CreateDispatch, and would take calls per second from projects that work.
        """
        fails_again = client.trouble is not None and client.trouble.failures > 1
        return client.is_down or (self._is_paced and fails_again)

    def note_probes(self, probes: Iterable[Dispatch]) -> None:
        """Count retries that were claimed while LiveKit was down."""
        tick = self._context.clock.monotonic()
        for project, count in Counter(one.project for one in probes).items():
            self._probes[project].note(tick, count)

    async def hasten(self) -> None:
        """Make dispatches due whose LiveKit was down a moment ago and is not now."""
        for project, client in self._context.clients.items():
            tick = self._context.clock.monotonic()
            if client.was_called and client.trouble is None:
                self._has_answered.add(project)
            if client.is_down or (client.trouble is not None and project not in self._has_answered):
                self._down_at[project] = tick
                self._hastened_at.pop(project, None)
            elif project in self._down_at:
                await self._hasten(project, tick)

    async def _hasten(self, project: str, tick: float) -> None:
        if tick - self._down_at[project] > HASTEN_FOR_S:
            del self._down_at[project]
        elif tick - self._hastened_at.get(project, float("-inf")) >= HASTEN_EVERY_S:
            self._hastened_at[project] = tick
            write = partial(hasten_retries, now=self._context.clock.now(), project=project, limit=HASTENED_AT_ONCE)
            while await self._context.writer.run(write, share=project) == HASTENED_AT_ONCE:
                pass
