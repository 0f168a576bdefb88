"""An event loop whose time passes only while nothing can be done: minutes of calls in a fraction of a second."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PATIENCE_S = 0.05  # real seconds between two looks at threads that work


class _Selector(selectors.DefaultSelector):
    """Waits for real only for threads; all other waiting is a jump. Sockets would be jumped over."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.loop.working or timeout is None:
            return super().select(_PATIENCE_S)
        self.loop.elapsed += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and jumps. `working` counts what threads do for the loop: time stands still meanwhile."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.working = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        self.working += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _future: asyncio.Future[Any]) -> None:
        self.working -= 1


class LoopClock:
    """The clock of a machine in the world: the loop's time, which a test may set forward or back.

    It starts four minutes ago, so that tokens made by its time stay valid by the machine's for six minutes of it.
    """

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._start = datetime.now(UTC) - timedelta(seconds=240)
        self.jumped = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.elapsed + self.jumped)

    def monotonic(self) -> float:
        return self._loop.elapsed


class TokenClock:
    """The clock of calls to LiveKit: the loop's time, but the machine's date, by which the simulator judges tokens."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Let a coroutine test run in a loop of its own whose time is virtual."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def thread_work(work: Awaitable[T]) -> T:
    """Await what a thread does for us; virtual time stands still meanwhile."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.working += 1
    try:
        return await work
    finally:
        loop.working -= 1
