"""Probes that a user asks for, at a bounded rate: each makes a room at LiveKit and starts an agent."""

from __future__ import annotations

import math
from typing import Final

from app.agents.agent_check import check_agent_name
from app.errors import InvalidInputError, Problem, TooManyRequestsError
from app.flows.context import Context
from app.flows.probes.probe import Prober, ProbeResult
from app.settings import chosen_project
from app.token_bucket import KeyedBuckets
from app.translation import translatable

AT_ONCE: Final = 4
"""Probes under way in one process; each asks LiveKit ten times a second who is in the room."""
BURST: Final = 5
EVERY_S: Final = 10.0
"""One user may start BURST probes at once, and then one in so many seconds."""
MAX_TIMEOUT_S: Final = 30.0
WAIT_S: Final = 15.0
"""How long a probe waits for the agent unless the user says otherwise: somebody looks at the page meanwhile."""


class ProbesOnDemand:
    """Probes one agent for one user; refuses what would be too many."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._probers = {
            project: Prober(project, client, context.writer, context.clock, context.metrics)
            for project, client in context.clients.items()
        }
        self._buckets = KeyedBuckets(1 / EVERY_S, BURST)
        self._running: set[tuple[str, str]] = set()

    @property
    def projects(self) -> tuple[str, ...]:
        """The LiveKit projects in which agents can be probed."""
        return tuple(self._probers)

    async def probe(
        self, agent_name: str, *, user: str, project: str | None = None, timeout_s: float = WAIT_S
    ) -> ProbeResult:
        """Return the result of probing an agent in a project; without its name in the only one.

        Raises InvalidInputError for a name or a project that cannot be probed, TooManyRequestsError for too many.
        """
        chosen = chosen_project(project, self.projects)
        problems = check_agent_name(agent_name)
        if isinstance(chosen, Problem):
            problems.append(chosen)
        if isinstance(chosen, Problem) or problems:
            raise InvalidInputError(translatable("this agent cannot be probed"), problems)
        key, now = (chosen, agent_name), self._clock.monotonic()
        if key in self._running:
            raise TooManyRequestsError(translatable("a probe of this agent is under way; its result will be listed"), 5)
        if len(self._running) >= AT_ONCE:
            raise TooManyRequestsError(
                translatable("%(at_once)s probes are under way; wait for one of them", at_once=AT_ONCE), 5
            )
        if not self._buckets.available(user, now):
            wait = math.ceil(self._buckets.seconds_until_one(user, now))
            raise TooManyRequestsError(
                translatable("you have started many probes; try again in %(wait)s s", wait=wait), wait
            )
        self._buckets.spend(user, now)
        self._running.add(key)
        try:
            return await self._probers[chosen].probe(agent_name, timeout_s)
        finally:
            self._running.discard(key)
