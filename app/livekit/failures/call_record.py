"""Counts how the latest calls to one LiveKit project ended."""

from __future__ import annotations

from typing import Final

from app.clock import Clock
from app.livekit.failures.trouble import Trouble, TroubleKind

RECENT_S: Final = 60.0
"""A failure is recent for so long, whatever is answered meanwhile: LiveKit may refuse every second call."""


class CallRecord:
    """The calls in a row that failed, and why; an answer ends the row.

    `unanswered` counts them, whether they had no answer, one that says that LiveKit itself has failed, or one that
    refuses the key.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.unanswered = 0
        self.trouble: Trouble | None = None
        self.is_known = False
        self._latest: dict[bool, tuple[float, Trouble]] = {}  # by whether it is a refusal

    @property
    def recent(self) -> tuple[Trouble, ...]:
        """The latest refusal and the latest other failure, if they are of the last `RECENT_S`."""
        since = self._clock.monotonic() - RECENT_S
        return tuple(trouble for at, trouble in self._latest.values() if at > since)

    def note_answer(self) -> None:
        """End the row: LiveKit did what it was asked, or refused it for a reason of that call alone."""
        self.unanswered, self.trouble, self.is_known = 0, None, True

    def note_failure(self, kind: TroubleKind, text: str) -> None:
        """Count a call that failed for a reason which other calls share."""
        self.unanswered += 1
        before = self.trouble
        failures = before.failures + 1 if before is not None and before.kind is kind else 1
        self.trouble, self.is_known = Trouble(kind, text, failures), True
        self._latest[kind.is_refusal] = self._clock.monotonic(), self.trouble
