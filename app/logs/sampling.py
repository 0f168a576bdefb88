"""Bounds how many lines a kind of event that anybody can cause writes to the log."""

from __future__ import annotations

import logging
from typing import Final

from app.token_bucket import TokenBucket

_BURST: Final = 10
"""Lines of one kind that are written at once: enough to see what happens, and from where."""
_PER_SECOND: Final = 0.2
"""Lines of one kind on average after that: 12 a minute."""
_MAX_KINDS: Final = 100
"""Kinds are written in the source, so there are fewer; should one be made of data, memory stays bounded."""


class LineSampler:
    """Lets the first lines of each kind through, then a few per minute, and counts those left out."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}
        self._left_out: dict[str, int] = {}

    def admit(self, kind: str, now: float) -> int | None:
        """Return how many lines of `kind` were left out since the last one, or None to leave this one out, too.

        `now` is in monotonic seconds.
        """
        if kind not in self._buckets and len(self._buckets) >= _MAX_KINDS:
            kind = ""
        bucket = self._buckets.setdefault(kind, TokenBucket(_PER_SECOND, _BURST))
        if not bucket.available(now):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        bucket.spend(1)
        return self._left_out.pop(kind, 0)


class SamplingFilter(logging.Filter):
    """Samples the records of a library's logger by their message; errors pass."""

    def __init__(self) -> None:
        super().__init__()
        self._sampler = LineSampler()
        self._latest = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written; `not_logged` is added to its message."""
        if record.levelno >= logging.ERROR or record.levelno <= logging.INFO:
            return True
        self._latest = max(self._latest, record.created)  # the wall clock may be set back
        left_out = self._sampler.admit(str(record.msg), self._latest)
        if left_out:
            record.msg = f"{record.msg} (not_logged={left_out})"
        return left_out is not None
