"""Announces to callers whether they wait, at which position, and when their agent is there."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text

from app.audit import Place, places_in_queue
from app.db.any_of import any_of
from app.db.hot_statement import HotStatement
from app.db.tables import dispatch_callers, dispatches
from app.db.tables.calls import ANNOUNCED
from app.db.types import LIVE, DispatchStatus
from app.flows.announce.announced_state import (
    INTERVAL_S,
    Announced,
    Listener,
    attributes_of,
    chosen,
    interval_after,
    state_of,
)
from app.flows.announce.pace_cache import PaceCache
from app.flows.context import Context
from app.flows.turns import ANNOUNCER, BEAT_EVERY_S, lead
from app.livekit.outcome import LiveKitUnavailableError
from app.logs import get_logger

_log = get_logger(__name__)

_AT_ONCE = 8
"""UpdateParticipant calls of one project that are under way at once."""
_LIVE = HotStatement(
    select(
        dispatches.c.project,
        dispatches.c.room_name,
        dispatch_callers.c.participant_identity,
        dispatches.c.id,
        dispatches.c.status,
        dispatches.c.queued_at,
    )
    .select_from(dispatches.join(dispatch_callers, dispatch_callers.c.dispatch_id == dispatches.c.id))
    .with_hint(dispatches, "INDEXED BY ix_dispatches_announced", "sqlite")
    .where(text(ANNOUNCED), dispatch_callers.c.left_at.is_(None))
)
_ENDED = HotStatement(
    select(dispatches.c.id, dispatch_callers.c.participant_identity, dispatches.c.status)
    .select_from(dispatches.join(dispatch_callers, dispatch_callers.c.dispatch_id == dispatches.c.id))
    .where(any_of(dispatches.c.id, "ids"), dispatch_callers.c.left_at.is_(None))
)


@dataclass(slots=True)
class _Sent:
    dispatch_id: str
    attributes: dict[str, str]
    tick: float


class Announcer:
    """Compares what was announced to each caller with what is stored; of several replicas one announces.

    What it cannot send is logged and dropped: the next change is sent. LiveKit gets no more than some calls at a time,
    and no dispatch waits for them.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pace = PaceCache(context.clock)
        self._leads_until = 0.0
        self._sent: dict[Listener, _Sent] = {}
        self._under_way: dict[Listener, asyncio.Task[None]] = {}
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(_AT_ONCE))

    async def run_once(self) -> dict[str, int]:
        """Begin to send what has changed."""
        now = self._context.clock.now()
        live = await self._context.read(self._read)
        if not live and not self._sent:
            return {"announced": 0}
        if not await self._leads(now):
            self._sent.clear()  # another replica announces, and knows what it has sent
            return {"announced": 0}
        current = chosen(live)
        queued = [one.dispatch_id for one in current.values() if one.queued_at is not None]
        gone = {listener: one.dispatch_id for listener, one in self._sent.items() if listener not in current}
        places, endings = await self._context.read(
            lambda connection: (
                places_in_queue(connection, queued, now, self._pace.read),
                _endings(connection, gone),
            )
        )
        count = sum(self._announce(one, places.get(one.dispatch_id)) for one in current.values())
        tick = self._context.clock.monotonic()
        for listener, dispatch_id in gone.items():
            sent, last = self._sent[listener], endings.get(listener)
            if last is not None and sent.attributes != last:
                count += self._send(listener, dispatch_id, last)
            elif listener not in self._under_way and tick - sent.tick >= INTERVAL_S:
                del self._sent[listener]
        return {"announced": count, "listeners": len(self._sent)}

    async def stop(self) -> None:
        """End the calls under way: what they announce is of no use any more."""
        for task in tuple(self._under_way.values()):
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _leads(self, now: datetime) -> bool:
        """Return whether this replica is the one that announces; it asks only some times in the life of a heartbeat."""
        tick = self._context.clock.monotonic()
        if self._context.writer.is_embedded or tick < self._leads_until:
            return True
        leads = await self._context.writer.run(lambda connection: lead(connection, self._context.owner, now, ANNOUNCER))
        self._leads_until = tick + BEAT_EVERY_S / 2 if leads else 0.0
        return leads

    def _read(self, connection: Connection) -> list[Announced]:
        return [
            Announced(Listener(project, room, identity), dispatch_id, DispatchStatus(status), queued_at)
            for project, room, identity, dispatch_id, status, queued_at in _LIVE.rows(connection, {})
            if project in self._context.clients
        ]

    def _announce(self, one: Announced, place: Place | None) -> bool:
        state = state_of(one.status, one.queued_at)
        return state is not None and self._send(one.listener, one.dispatch_id, attributes_of(state, place))

    def _send(self, listener: Listener, dispatch_id: str, attributes: dict[str, str]) -> bool:
        """Begin to send unless the caller knows it, a call is under way, or the last one was a moment ago."""
        tick, sent = self._context.clock.monotonic(), self._sent.get(listener)
        if sent is not None:
            sent.dispatch_id = dispatch_id
            is_soon = tick - sent.tick < interval_after(sent.attributes, attributes)
            if sent.attributes == attributes or is_soon or listener in self._under_way:
                return False
        self._sent[listener] = _Sent(dispatch_id, attributes, tick)
        task = asyncio.create_task(self._update(listener, attributes))
        self._under_way[listener] = task
        task.add_done_callback(lambda _: self._under_way.pop(listener, None))
        return True

    async def _update(self, listener: Listener, attributes: dict[str, str]) -> None:
        try:
            async with self._slots[listener.project]:
                sent = self._sent.get(listener)
                if sent is not None:
                    sent.tick = self._context.clock.monotonic()
                client = self._context.clients[listener.project]
                await client.update_attributes(listener.room_name, listener.identity, attributes)
        except LiveKitUnavailableError as error:
            _log.info("the state of a call could not be announced", room=listener.room_name, error=str(error))
        except Exception as error:  # noqa: BLE001 - a task of its own: nothing else would report it
            self._context.defects.note("announce", error, room=listener.room_name)


def _endings(connection: Connection, gone: dict[Listener, str]) -> dict[Listener, dict[str, str]]:
    """Return what is announced last to callers who are still in the room, by how their dispatch has ended."""
    if not gone:
        return {}
    rows = _ENDED.rows(connection, {"ids": set(gone.values())})
    over = {
        (dispatch_id, identity): state_of(DispatchStatus(status), None)
        for dispatch_id, identity, status in rows
        if DispatchStatus(status) not in LIVE
    }
    return {
        listener: attributes_of(over[dispatch_id, listener.identity], None)
        for listener, dispatch_id in gone.items()
        if (dispatch_id, listener.identity) in over
    }
