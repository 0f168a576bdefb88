"""A background loop: ticks, logs, survives errors, can be woken early, and can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from app.errors import UsherError
from app.flows.context import Defects
from app.logs import get_logger

_log = get_logger(__name__)


RESTS_AFTER_S = 30.0
"""A loop rests when for so long nothing was found by it, and nothing happened that it may have to follow."""
REST_S = 1.0
"""Interval of a loop that rests: a due time that another replica wrote meanwhile is noticed so late at most."""


class Loop:
    """Calls `run_once` every `interval_s` seconds until stopped; `wake` makes the next call come at once.

    With `rests`, it calls only every `REST_S` seconds once nothing has happened for `RESTS_AFTER_S`, until `stir` or
    `wake`: an idle service then takes less than a hundredth of a core.
    """

    def __init__(
        self,
        name: str,
        run_once: Callable[[], Awaitable[Mapping[str, int]]],
        interval_s: float,
        defects: Defects,
        *,
        rests: bool = False,
    ) -> None:
        self.name = name
        self._run_once = run_once
        self._interval_s = interval_s
        self._defects = defects
        self._rests = rests
        self._quiet_rounds = 0
        self._is_resting = False
        self._woken = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start; the first call is made at once."""
        self._task = asyncio.create_task(self._run(), name=f"usher-{self.name}")

    def wake(self) -> None:
        """Make the next call now."""
        self._woken.set()

    def stir(self) -> None:
        """Do not rest for the next while: something happened that may become due."""
        self._quiet_rounds = 0
        if self._is_resting:
            self._woken.set()

    async def stop(self) -> None:
        """Wait for the call under way, and end."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping:
            try:
                counts = await self._run_once()
            except UsherError as error:
                _log.warning(f"{self.name} will try again", error=str(error))
            except Exception as error:  # noqa: BLE001 - a defect in one round must not end all rounds
                self._defects.note(self.name, error)
            else:
                if any(counts.values()):
                    _log.debug(self.name, **counts)
                    self._quiet_rounds = 0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._pause())
            self._woken.clear()

    def _pause(self) -> float:
        self._is_resting = self._rests and self._quiet_rounds * self._interval_s >= RESTS_AFTER_S
        self._quiet_rounds += 1
        return max(self._interval_s, REST_S) if self._is_resting else self._interval_s
