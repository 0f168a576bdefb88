"""A connection to PostgreSQL that is closed when the server does not answer.

Timeouts of the server do not help where the server itself hangs, or the network drops what is sent; the kernel of a
stopped server even acknowledges it, so that timeouts of TCP do not help either.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import psycopg

from app.clock import SystemClock
from app.db.engine.postgres.error_text import loggable_text

_clock = SystemClock()
_ENDS_SESSION: Final = {"FATAL", "PANIC"}
"""Severities of errors after which the server closes the socket; until it has, libpq takes the connection for sound."""


class BoundedConnection(psycopg.Connection[Any]):
    """Raises `OperationalError` and closes itself when an answer takes longer than `answer_timeout_s` (None: never).

    Closes itself, too, when the server says that it ends the session. Errors say nothing of the rows that caused them.
    """

    answer_timeout_s: float | None = None

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Return what `gen`, which psycopg resumes at every change of the socket and every 0.1 s, returns."""
        if self.answer_timeout_s is not None:
            gen = self._bounded(gen, self.answer_timeout_s)
        try:
            return super().wait(gen, *args, **options)
        except psycopg.Error as error:
            if error.diag.severity_nonlocalized in _ENDS_SESSION:
                self.close()  # what follows, such as ROLLBACK, would fail with errors that hide this one
            error.args = (loggable_text(error),)  # `diag` has it in full
            raise

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
