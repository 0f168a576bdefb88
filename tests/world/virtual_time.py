"""An event loop whose time passes only while nothing can be done: minutes of calls in a fraction of a second."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

import jwt

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_THREAD_POLL_S = 0.05  # real seconds: how long one wait for threads lasts at most
_GRID_S = 1e-6  # timers are due on this grid, so that rounding errors do not decide which of two is first
_ORDER_S = 1e-12  # between timers that are due together: the one that was set first is called first

_owner: contextvars.ContextVar[object] = contextvars.ContextVar("owner", default=None)


def in_context_of(owner: object) -> contextvars.Context:
    """Return a context whose tasks, and theirs, are `tasks_of(owner)`; None owns none."""
    context = contextvars.Context()
    context.run(_owner.set, owner)
    return context


class _Selector(selectors.DefaultSelector):
    """Waits for real only for threads; all other waiting is a jump. Sockets would be jumped over."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.loop.working or timeout is None:
            return super().select(_THREAD_POLL_S)
        self.loop.elapsed += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and jumps. `working` counts what threads do for the loop: time stands still meanwhile."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.working = 0
        self._timers = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._tasks: dict[asyncio.Task[Any], object] = {}
        self.set_task_factory(self._new_task)

    def time(self) -> float:
        return self.elapsed

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        self._timers += 1
        due = round(when / _GRID_S) * _GRID_S
        if when > self.elapsed:
            due = max(due, self.elapsed + _GRID_S)
        return super().call_at(due + self._timers * _ORDER_S, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        self.working += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._worked)
        return future

    def tasks_of(self, owner: object) -> list[asyncio.Task[Any]]:
        """Return the unfinished tasks that were started in the context of `owner`, in the order of their start."""
        return [task for task, its_owner in self._tasks.items() if its_owner is owner]

    def _new_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        context: contextvars.Context = options.pop("context", None) or contextvars.copy_context()
        task = asyncio.Task(coroutine, loop=loop, context=context, **options)
        self._tasks[task] = context.get(_owner)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]

    def _worked(self, _future: asyncio.Future[Any]) -> None:
        self.working -= 1


class LoopClock:
    """The clock of a machine in the world: the loop's time, which a test may set forward or back.

    It starts four minutes ago, so that tokens made by its time stay valid by the machine's for six minutes of it.
    It starts with a whole second: LiveKit's times in seconds would differ from run to run by what is cut off.
    """

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=240)
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


def lasting(authorization: str, secrets: Mapping[str, str]) -> str:
    """Return the token of a webhook with the same claims, valid for a day; `secrets` are by API key.

    It was signed at the loop's time, which falls behind the machine's date while the machine is busy, and Usher judges
    it by that date: after two minutes it would be stale.
    """
    claims = jwt.decode(authorization, options={"verify_signature": False})
    return jwt.encode({**claims, "exp": claims["nbf"] + 86_400}, secrets[claims["iss"]], algorithm="HS256")


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
