"""Scheduled probes of the agents in USHER_CANARY_AGENTS, by one replica at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import Connection, delete, select

from app.db.record_ids import lowest_id_at
from app.db.tables import probes
from app.errors import UsherError
from app.flows.context import Context
from app.flows.probes.probe import Prober
from app.flows.turns import BEAT_EVERY_S, CANARY, keep_turn, take_turn
from app.logs import get_logger

_log = get_logger(__name__)

_ABANDONED = timedelta(minutes=5)
"""The process of a probe without a result after this has died."""


class Canary:
    """Probes the agents when it is this replica's turn; what LiveKit does or does not do is a result, not an error."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._probers = {
            project: Prober(project, client, context.writer, context.clock, context.metrics)
            for project, client in context.clients.items()
        }
        self._probing: asyncio.Future[list[dict[str, int]]] | None = None
        self._is_stopping = False

    async def run_once(self) -> dict[str, int]:
        """Probe every agent if it is this replica's turn; return how many came and how many did not."""
        context = self._context
        interval = context.settings.canary_interval
        if not await context.writer.run(
            lambda connection: take_turn(connection, context.owner, context.clock.now(), interval, CANARY)
        ):
            return {"arrived": 0, "absent": 0}
        async with self._turn():
            await self._clear_up()
            orders = self._orders()
            work = [self._probers[project].run_once(agents) for project, agents in orders.items()]
            self._probing = asyncio.gather(*work)
            try:
                counts = await self._probing
            except asyncio.CancelledError:
                if not self._is_stopping:
                    raise
                counts = []
        return {name: sum(one[name] for one in counts) for name in ("arrived", "absent")}

    def stop(self) -> None:
        """Cancel the probes under way and close their rooms."""
        self._is_stopping = True
        if self._probing is not None:
            self._probing.cancel()

    def _orders(self) -> Mapping[str, list[str]]:
        """Return the agents to probe by project: `project/agent` in that one, any other name in every one."""
        orders: dict[str, list[str]] = {project: [] for project in self._probers}
        for name in dict.fromkeys(self._context.settings.canary_agents):
            project, _, agent = name.partition("/")
            if agent and project in orders:
                orders[project].append(agent)
            else:
                for agents in orders.values():
                    agents.append(name)
        return orders

    async def _clear_up(self) -> None:
        """Close the rooms of probes whose process died, and delete results past the retention."""
        now, days = self._context.clock.now(), self._context.settings.retention_days

        def prune_and_find(connection: Connection) -> list[tuple[str, str]]:
            if days > 0:
                connection.execute(delete(probes).where(probes.c.id < lowest_id_at(now - timedelta(days=days))))
            lost = select(probes.c.id, probes.c.project).where(
                probes.c.finished_at.is_(None), probes.c.started_at < now - _ABANDONED
            )
            return [(row.id, row.project) for row in connection.execute(lost)]

        for probe_id, project in await self._context.writer.run(prune_and_find):
            if project in self._probers:
                await self._probers[project].clear_up(probe_id)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Keep the turn while the context lasts."""
        beating = asyncio.create_task(self._keep_beating())
        try:
            yield
        finally:
            beating.cancel()
            await self._beat(busy=False)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_EVERY_S)
            try:
                await self._beat(busy=True)
            except UsherError as error:
                _log.debug("the canary's turn could not be kept", error=str(error))

    async def _beat(self, *, busy: bool) -> None:
        context, now = self._context, self._context.clock.now()
        await context.writer.run(
            lambda connection: keep_turn(connection, context.owner, now, busy=busy, component=CANARY)
        )
