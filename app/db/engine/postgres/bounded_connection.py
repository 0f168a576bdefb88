"""A connection to PostgreSQL that is closed when the server does not answer.

Timeouts of the server do not help where the server itself hangs, or the network drops what is sent; the kernel of a
stopped server even acknowledges it, so that timeouts of TCP do not help either.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import psycopg

from app.clock import SystemClock

_clock = SystemClock()


class BoundedConnection(psycopg.Connection[Any]):
    """Raises `OperationalError` and closes itself when an answer takes longer than `answer_timeout_s` (None: never)."""

    answer_timeout_s: float | None = None

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Return what `gen`, which psycopg resumes at every change of the socket and every 0.1 s, returns."""
        if self.answer_timeout_s is not None:
            gen = self._bounded(gen, self.answer_timeout_s)
        return super().wait(gen, *args, **options)

    def _bounded(self, gen: Any, timeout_s: float) -> Generator[Any, Any, Any]:
        deadline = _clock.monotonic() + timeout_s
        try:
            state = next(gen)
            while True:
                is_ready = yield state
                if not is_ready and _clock.monotonic() >= deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the database has not answered for {timeout_s:g} s")
                state = gen.send(is_ready)
        except StopIteration as end:
            return end.value
