"""One change of a dispatch, decided but not written yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.db.types import Cause, DispatchStatus
from app.outbox.dispatch import Dispatch


@dataclass(frozen=True, slots=True)
class Move:
    """A dispatch goes on to `status` because of `cause`; `reason` is its text, `fields` are the other columns."""

    dispatch: Dispatch
    status: DispatchStatus
    cause: Cause
    reason: str
    by: str = "usher"
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> Dispatch:
        """The dispatch as it is after the move."""
        return self.dispatch._replace(status=self.status, cause=self.cause, reason=self.reason, **self.fields)
