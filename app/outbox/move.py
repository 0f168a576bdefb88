"""One change of a dispatch, decided but not written yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.db.types import Cause, DispatchStatus
from app.outbox.dispatch import Dispatch

_STARTED = frozenset({DispatchStatus.SENDING, DispatchStatus.DISPATCHED, DispatchStatus.JOINED})


@dataclass(frozen=True, slots=True)
class Move:
    """A dispatch goes on to `status` because of `cause`; `reason` is its text, `fields` are the other columns.

    `is_news`: whether the audit log gets a line, which one that changes neither status nor reason does not need.
    """

    dispatch: Dispatch
    status: DispatchStatus
    cause: Cause
    reason: str
    by: str = "usher"
    fields: Mapping[str, Any] = field(default_factory=dict)
    is_news: bool = True

    @property
    def columns(self) -> dict[str, Any]:
        """The columns to write: `fields`, and what follows from the status alone.

        A dispatch that is not `pending` any more has left the queue; one whose attempt failed keeps its place for the
        next attempt, unless `fields` say otherwise.
        """
        columns = {"status": self.status, "cause": self.cause, "reason": self.reason, **self.fields}
        if self.status is DispatchStatus.PENDING:
            if self.dispatch.status in _STARTED and "placed_at" not in columns:
                columns["placed_at"] = self.dispatch.placed_at or self.dispatch.created_at
        elif self.dispatch.queued_at is not None:
            columns["queued_at"] = None
        return columns

    @property
    def result(self) -> Dispatch:
        """The dispatch as it is after the move."""
        return self.dispatch._replace(**self.columns)
