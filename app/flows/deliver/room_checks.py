"""Shares one check of a room among all dispatches that are about to be sent into it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.flows.context import Context
from app.flows.room_comparison import Comparison, compare_room
from app.livekit.client import LiveKitClient
from app.observe.observation import observe_room
from app.outbox.dispatch import Dispatch

SHARED_FOR_S = 1.0
"""A check that began this long ago still shows that a caller is there: half of what a webhook is believed for.

One that failed shows nothing: LiveKit may answer by now.
"""

_Key = tuple[str, str, bool]
"""Project, room name, and whether LiveKit's dispatches are asked for."""


@dataclass(frozen=True, slots=True)
class _Check:
    began: float
    task: asyncio.Task[Comparison]


class RoomChecks:
    """Asks LiveKit what a room holds and compares it, for those who ask at the same time or soon after once.

    Where LiveKit may have the dispatch already, only a check that begins after the request counts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._latest: dict[_Key, _Check] = {}
        self._next: dict[_Key, asyncio.Task[Comparison]] = {}

    async def check(self, dispatch: Dispatch, client: LiveKitClient) -> Comparison:
        """Return a comparison of the room of `dispatch`; raises `LiveKitUnavailableError` without an answer."""
        key = (dispatch.project, dispatch.room_name, dispatch.must_look)
        latest = self._latest.get(key)
        if latest is not None and not dispatch.must_look and self._is_usable(latest):
            return await asyncio.shield(latest.task)
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._begin(key, client, latest))
        return await asyncio.shield(self._next[key])

    def _is_usable(self, check: _Check) -> bool:
        task = check.task
        has_failed = task.done() and (task.cancelled() or task.exception() is not None)
        return not has_failed and self._context.clock.monotonic() - check.began < SHARED_FOR_S

    async def _begin(self, key: _Key, client: LiveKitClient, before: _Check | None) -> Comparison:
        if before is not None:
            await asyncio.wait([before.task])
        await asyncio.sleep(0)  # those that were claimed together ask together
        task = self._next.pop(key)
        self._latest[key] = check = _Check(self._context.clock.monotonic(), task)
        project, room_name, with_dispatches = key
        try:
            seen = await observe_room(
                client,
                project,
                room_name,
                at=self._context.clock.now(),
                with_dispatches=with_dispatches,
                ask_node=True,
            )
            return await compare_room(self._context, seen)
        finally:
            asyncio.get_running_loop().call_later(SHARED_FOR_S, self._forget, key, check)

    def _forget(self, key: _Key, check: _Check) -> None:
        if self._latest.get(key) is check:
            del self._latest[key]
