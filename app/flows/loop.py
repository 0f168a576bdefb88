"""A background loop: ticks, logs, survives errors, can be woken early, and can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from app.errors import UsherError
from app.flows.context import Defects
from app.logs import get_logger

_log = get_logger(__name__)

SAME_ERROR_EVERY_S = 10.0
"""An error that stays the same is logged so often: some loops try ten times a second."""


class Loop:
    """Calls `run_once` again and again until stopped.

    The next call is made `interval_s` after one that found something or failed, and `idle_s` (by default the same)
    after one that found nothing. `wake` and `wake_in` bring it forward.
    """

    def __init__(
        self,
        name: str,
        run_once: Callable[[], Awaitable[Mapping[str, int]]],
        interval_s: float,
        defects: Defects,
        *,
        idle_s: float | None = None,
    ) -> None:
        self.name = name
        self._run_once = run_once
        self._interval_s = interval_s
        self._defects = defects
        self._idle_s = interval_s if idle_s is None else idle_s
        self._pause: asyncio.TimerHandle | None = None
        """Ends `interval_s` after the latest call."""
        self._is_overdue = False
        self._woken = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._logged_error = ""
        self._forgetting: asyncio.TimerHandle | None = None
        """Ends the time in which the same error is not logged again."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start; the first call is made at once."""
        self._task = asyncio.create_task(self._run(), name=f"usher-{self.name}")

    def wake(self) -> None:
        """Make the next call now."""
        self._woken.set()

    def wake_in(self, seconds: float) -> None:
        """Make a call in so many seconds, but none within `interval_s` of the latest; replaces the time set before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._ring)

    def wake_soon(self) -> None:
        """Make a call as soon as `interval_s` have passed since the latest."""
        if self._timer is None and not self._is_overdue:
            self.wake_in(0.0)

    async def stop(self) -> None:
        """Wait for the call under way, and end."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await self._task
        for timer in (self._timer, self._pause, self._forgetting):
            if timer is not None:
                timer.cancel()

    async def _run(self) -> None:
        while not self._stopping:
            pause_s = self._interval_s
            try:
                counts = await self._run_once()
            except UsherError as error:
                self._log_error(str(error))
            except Exception as error:  # noqa: BLE001 - a defect in one round must not end all rounds
                self._defects.note(self.name, error)
            else:
                self._forget_error()
                if any(counts.values()):
                    _log.debug(self.name, **counts)
                else:
                    pause_s = self._idle_s
            if self._pause is not None:
                self._pause.cancel()
            self._pause = asyncio.get_running_loop().call_later(self._interval_s, self._end_pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause_s)
            self._woken.clear()

    def _log_error(self, error: str) -> None:
        if error == self._logged_error:
            return
        _log.warning(f"{self.name} will try again", error=error)
        self._logged_error = error
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(SAME_ERROR_EVERY_S, self._forget_error)

    def _forget_error(self) -> None:
        self._logged_error = ""

    def _end_pause(self) -> None:
        self._pause = None
        if self._is_overdue:
            self._ring()

    def _ring(self) -> None:
        self._timer = None
        self._is_overdue = self._pause is not None
        if not self._is_overdue:
            self._woken.set()
