"""Runs the jobs of users in worker processes: one at a time for each user, each for a limited time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeVar

from app.errors import TooManyRequestsError, TooMuchWorkError
from app.logs import get_logger
from app.server.workers.rule_worker import Outcome, Setup, receive, send, wait_readable
from app.translation import translatable

_log = get_logger(__name__)
T = TypeVar("T")

WORKERS: Final = 2
"""While one user's simulation runs, another's draft is checked."""
TIME_LIMIT_S: Final = 30.0
"""A simulation of 50,000 events takes some seconds."""
_STARTS_WITHIN_S: Final = 60.0
_MAX_IN_TURN: Final = 8
"""Jobs of one user that wait for the one that runs: the tabs that a person opens at once."""
_MAX_USERS: Final = 20
"""Users whose jobs run or wait, one of each at a time; more would wait longer than a browser does."""


class _ClosedError(Exception):
    """The pool was closed meanwhile."""


class WorkerPool:
    """Starts workers when there is something to do; they end by themselves when there is not."""

    def __init__(self, setup: Setup, *, time_limit_s: float | None = None) -> None:
        self._setup = setup
        self._time_limit_s = TIME_LIMIT_S if time_limit_s is None else time_limit_s
        self._jobs: Counter[str] = Counter()
        """By user: those that run or wait."""
        self._turns: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(WORKERS)
        self._threads = ThreadPoolExecutor(WORKERS, "usher-jobs")
        self._lock = Lock()  # of the two lists and of whether the pool is closed
        self._is_closed = False
        self._idle: list[_Worker] = []
        self._working: list[_Worker] = []

    async def run(self, user_id: str, job: Callable[..., T], *arguments: Any, in_turn: bool = False) -> T:
        """Return what `job(state, *arguments)` returns in a worker; both must be picklable.

        TooManyRequestsError while a job of that user runs; with `in_turn`, which pages use, some may wait for it.
        TooMuchWorkError when the job takes too long.
        """
        if self._jobs.get(user_id, 0) > (_MAX_IN_TURN if in_turn else 0):
            message = translatable(
                "your previous check or simulation is still running; wait for its answer, then try again"
            )
            raise TooManyRequestsError(message, 1)
        if user_id not in self._jobs and len(self._jobs) >= _MAX_USERS:
            raise TooManyRequestsError(
                translatable("too many users are checking rules or simulating now; try again later"), 10
            )
        self._jobs[user_id] += 1
        turn = self._turns.setdefault(user_id, asyncio.Lock())
        try:
            async with turn, self._slots:
                loop = asyncio.get_running_loop()
                outcome = await loop.run_in_executor(self._threads, self._run, job, arguments)
        finally:
            self._jobs[user_id] -= 1
            if not self._jobs[user_id]:
                del self._jobs[user_id], self._turns[user_id]
        result: T = outcome.get()
        return result

    def close(self) -> None:
        """End all workers, with what they are doing."""
        with self._lock:
            self._is_closed = True
            idle, working = [*self._idle], [*self._working]
            self._idle.clear()
        for worker in working:
            worker.end_process()  # its thread, which reads and writes, closes the pipes
        for worker in idle:
            worker.kill()
        self._threads.shutdown(wait=False)

    def _run(self, job: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
        while (idle := self._take_idle()) is not None:
            with suppress(BrokenPipeError, EOFError):  # that worker has ended for want of work
                return self._run_in(idle, job, arguments)
        try:
            return self._run_in(self._start(), job, arguments)
        except _ClosedError:
            return Outcome(defect="the service is stopping")
        except (OSError, EOFError) as error:
            return Outcome(defect=f"a worker ended: {type(error).__name__} {error}")

    def _take_idle(self) -> _Worker | None:
        with self._lock:
            if not self._idle:
                return None
            worker = self._idle.pop()
            self._working.append(worker)
            return worker

    def _start(self) -> _Worker:
        """Return a worker that is ready for a job; OSError or EOFError if it does not come to that."""
        with self._lock:  # a process takes milliseconds to fork: `close` must know it
            if self._is_closed:
                raise _ClosedError
            worker = _Worker()
            self._working.append(worker)
        try:
            worker.prepare(self._setup)
        except BaseException:
            self._end(worker)
            raise
        return worker

    def _end(self, worker: _Worker) -> None:
        worker.kill()
        with self._lock:
            self._working.remove(worker)

    def _run_in(self, worker: _Worker, job: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
        try:
            outcome = worker.run(job, arguments, self._time_limit_s)
        except TimeoutError:
            self._end(worker)
            _log.warning(
                "a job took too long and was stopped",
                job=getattr(job, "__name__", str(job)),
                seconds=self._time_limit_s,
            )
            message = translatable(
                "this took longer than %(seconds)s s and was stopped; try fewer or simpler rules",
                seconds=f"{self._time_limit_s:g}",
            )
            return Outcome(error=TooMuchWorkError, message=message)
        except BaseException:
            self._end(worker)
            raise
        with self._lock:
            self._working.remove(worker)
            if not self._is_closed:
                self._idle.append(worker)
                return outcome
        worker.kill()
        return outcome


class _Worker:
    """One process, used by one thread at a time."""

    def __init__(self) -> None:
        # `-P`: not the packages of the folder in which the service was started.
        command = [sys.executable, "-P", "-c", "from app.server.workers.rule_worker import main; main()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own code

    def prepare(self, setup: Setup) -> None:
        """Wait until the process can take a job; OSError or EOFError if it cannot."""
        self._call(setup, _STARTS_WITHIN_S)

    def run(self, job: Callable[..., Any], arguments: tuple[Any, ...], within_s: float) -> Outcome:
        """Return the outcome; TimeoutError if there is none in time, OSError or EOFError if the process has ended."""
        outcome: Outcome = self._call((job, arguments), within_s)
        return outcome

    def end_process(self) -> None:
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        self.end_process()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _call(self, message: Any, within_s: float) -> Any:
        jobs, results = self._process.stdin, self._process.stdout
        if jobs is None or results is None:
            raise EOFError
        send(jobs, message)
        if not wait_readable(results, within_s):
            raise TimeoutError("no answer in time")
        return receive(results)
