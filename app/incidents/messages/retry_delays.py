"""When a message that could not be delivered is sent again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

GIVE_UP_AFTER: Final = timedelta(hours=24)
PAUSE_AFTER: Final = timedelta(days=5)
"""A subscription is paused after failures alone for this long."""
DELAYS_S: Final = (5, 30, 120, 600, 1800, 3600, 7200, 14400)
"""Seconds after each attempt; the last one repeats until the message is given up."""
LONGEST_RETRY_AFTER_S: Final = 3600.0
"""A receiver that asks for a longer pause gets this one."""


def delay_after(attempts: int, retry_after_s: float | None = None) -> timedelta:
    """Return the time from one attempt to the next, after so many; at least what the receiver asked for."""
    delay = float(DELAYS_S[min(max(attempts, 1), len(DELAYS_S)) - 1])
    if retry_after_s is not None:
        delay = max(delay, min(retry_after_s, LONGEST_RETRY_AFTER_S))
    return timedelta(seconds=delay)
