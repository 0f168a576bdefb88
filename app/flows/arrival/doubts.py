"""Ends doubts: once the time is over in which agents return and rooms are listed again, LiveKit's lists count."""

from __future__ import annotations

import asyncio

from app.errors import UsherError
from app.flows.arrival.inspect import Inspector
from app.flows.context import Context
from app.logs import get_logger
from app.outbox.dispatch_store import rooms_past_doubt

_log = get_logger(__name__)

_ROOMS_AT_ONCE = 32
"""Rooms checked at the same time: LiveKit takes 3 s to answer about dispatches of a room that no node serves."""
_AGAIN_S = 2.0
"""Delay before a room is checked again that LiveKit did not answer about."""


class DoubtChecker:
    """Checks the rooms of dispatches whose doubt is over. Replicas may check the same room: the first one decides."""

    def __init__(self, context: Context, inspector: Inspector) -> None:
        self._context = context
        self._inspector = inspector
        self._not_before: dict[tuple[str, str], float] = {}

    async def run_once(self) -> dict[str, int]:
        """Check every such room once, except those that LiveKit did not answer about a moment ago."""
        now, tick = self._context.clock.now(), self._context.clock.monotonic()
        projects = self._context.clients.keys()
        found = await self._context.read(lambda connection: rooms_past_doubt(connection, now, projects))
        self._not_before = {room: due for room, due in self._not_before.items() if due > tick}
        rooms = [room for room in found if room not in self._not_before]
        at_once = asyncio.Semaphore(_ROOMS_AT_ONCE)
        await asyncio.gather(*(self._check(room, at_once) for room in rooms))
        return {"checked": len(rooms)}

    async def _check(self, room: tuple[str, str], at_once: asyncio.Semaphore) -> None:
        self._not_before[room] = self._context.clock.monotonic() + _AGAIN_S
        async with at_once:
            try:
                await self._inspector.inspect(*room, ask_node=True)
            except UsherError as error:
                _log.warning("a room in doubt could not be checked", room=room[1], error=str(error))
            except Exception as defect:  # noqa: BLE001 - a defect with one room must not keep the others in doubt
                self._context.defects.note("doubts", defect, room=room[1])
