"""An executor without threads, for a writer in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class LoopExecutor(Executor):
    """Runs work in the event loop's own thread: at once, or `delay_s` later, as on a disk or a lock that is slow.

    While `is_holding`, work waits for `run_next`.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.is_holding = False
        self._held: deque[Callable[[], None]] = deque()

    @property
    def held(self) -> int:
        """How much work waits."""
        return len(self._held)

    def run_next(self) -> None:
        """Run the oldest work that waits."""
        self._held.popleft()()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - every error belongs to the future
                future.set_exception(error)

        if self.is_holding:
            self._held.append(run)
        elif self.delay_s > 0:
            asyncio.get_running_loop().call_later(self.delay_s, run)
        else:
            run()
        return future
