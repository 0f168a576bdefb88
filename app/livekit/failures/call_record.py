"""Counts how the latest calls to one LiveKit project ended."""

from __future__ import annotations

from app.livekit.failures.trouble import Trouble, TroubleKind


class CallRecord:
    """The calls in a row that failed, and why; an answer ends the row.

    `unanswered` counts those without an answer, or with one that says that LiveKit itself has failed.
    """

    def __init__(self) -> None:
        self.unanswered = 0
        self.trouble: Trouble | None = None
        self.is_known = False

    def note_answer(self) -> None:
        """End the row: LiveKit did what it was asked, or refused it for a reason of that call alone."""
        self.unanswered, self.trouble, self.is_known = 0, None, True

    def note_failure(self, kind: TroubleKind, text: str) -> None:
        """Count a call that failed for a reason which other calls share."""
        self.unanswered = 0 if kind.is_refusal else self.unanswered + 1
        before = self.trouble
        failures = before.failures + 1 if before is not None and before.kind is kind else 1
        self.trouble, self.is_known = Trouble(kind, text, failures), True
