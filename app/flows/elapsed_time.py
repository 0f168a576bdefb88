"""How long ago an instant really was, although the wall clock may have been set since."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from math import inf
from threading import Lock

from app.clock import Clock

MIN_REMAINDER_S = 0.5
"""If the monotonic clock says that at least this much of a span is left, wait for it although the wall clock says it is
over."""
_STEP_S = 1.0
"""A change of at least this much is a step of the wall clock; smaller ones are slews."""
_SLEWED_S = 0.1
"""The wall clock may be slewed by this much between two steps."""
_REMEMBERED = 64
"""Remembered steps: more than the clock makes within the longest wait for an answer."""


class ElapsedTime:
    """Compares the wall clock with the monotonic one, and remembers by how much they differed, from when to when.

    Safe to use from any thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        first = _Offset(self._measure(), since=-inf, until=clock.monotonic())
        self._offsets = deque([first], maxlen=_REMEMBERED)
        self.times_set_back = 0
        """How often the wall clock was set back."""

    def note_step(self) -> None:
        """Record a step of the wall clock; call often, since it may have happened at any time since the last call."""
        with self._lock:
            self._note_step()

    def seconds_since(self, instant: datetime) -> float:
        """Return the least number of seconds that can have passed since the wall clock showed `instant`."""
        shown = instant.timestamp()
        with self._lock:
            tick = self._note_step()
            ticks = (shown - offset.seconds for offset in self._offsets if offset.may_have_shown(shown))
            return max(0.0, tick - max(ticks, default=shown - self._offsets[-1].seconds))

    def _note_step(self) -> float:
        tick, seconds = self._clock.monotonic(), self._measure()
        latest = self._offsets[-1]
        if abs(seconds - latest.seconds) >= _STEP_S:
            self.times_set_back += seconds < latest.seconds
            self._offsets.append(_Offset(seconds, since=latest.until, until=tick))
        else:
            latest.seconds = seconds
        latest.until = tick
        return tick

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


@dataclass(slots=True)
class _Offset:
    """The wall clock was `seconds` ahead of the monotonic one, at most from tick `since` to tick `until`."""

    seconds: float
    since: float
    until: float

    def may_have_shown(self, timestamp: float) -> bool:
        return self.since - _SLEWED_S <= timestamp - self.seconds <= self.until + _SLEWED_S
