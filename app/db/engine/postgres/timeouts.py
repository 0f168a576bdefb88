"""Limits of waiting for PostgreSQL, beside those that the user's DATABASE_URL sets."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf
from typing import Final

_UNITS_MS: Final = {"": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_MARGIN_MS: Final = 2000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one transaction, in milliseconds; None sets no limit."""

    lock_ms: int | None
    """Wait for one lock."""
    statement_ms: int | None = None
    """One statement, its waits for locks included."""
    idle_ms: int | None = None
    """Pause between two statements: after that the server ends the session, so that its locks hold up nobody."""
    answer_ms: int | None = None
    """Wait for the server's answer, after which the connection is closed here: the server itself may hang."""

    def beside(self, options: str) -> Timeouts:
        """Return what is to be set beside `options` for the server: none of theirs, and none that would undo theirs."""
        lock, statement, idle = (
            _given_ms(options, name)
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        )
        longest = max(lock or 0, statement or 0) + _MARGIN_MS
        return replace(
            self,
            lock_ms=self.lock_ms if lock is None else None,
            statement_ms=None if statement is not None else _at_least(self.statement_ms, lock),
            idle_ms=self.idle_ms if idle is None else None,
            answer_ms=self.answer_ms if lock is statement is None else _at_least(self.answer_ms, longest),
        )


def _given_ms(options: str, name: str) -> float | None:
    """Return a timeout in `options` (`-c name=5s` or `--name=5s`); 0, and what cannot be read, is no limit."""
    options = options.replace("-", "_")
    if name not in options:
        return None
    found = re.search(rf"{name}\s*=\s*(\d+)\s*([a-z]*)", options)
    amount = int(found[1]) * _UNITS_MS.get(found[2], 0) if found else 0
    return amount or inf


def _at_least(limit_ms: int | None, other_ms: float | None) -> int | None:
    if limit_ms is None or other_ms is None:
        return limit_ms
    return None if other_ms == inf else max(limit_ms, int(other_ms) + _MARGIN_MS)
