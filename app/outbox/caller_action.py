"""A stored action on a caller as a record: LiveKit is to remove or to transfer one participant, once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from app.db.columns.action_types import CallerActionCause, CallerActionKind, CallerActionStatus
from app.livekit.vocabulary import ParticipantKind

NO_PHONE_CALL_REASON = "only phone calls (SIP participants) can be transferred; this participant is of kind {kind}"


class CallerAction(NamedTuple):
    """A row of `caller_actions`, in the order of its columns."""

    id: str
    event_id: str
    dispatch_id: str | None
    rule_id: int
    rule_name: str
    rules_version: int
    project: str
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    participant_kind: str
    kind: CallerActionKind
    transfer_to: str | None
    status: CallerActionStatus
    cause: CallerActionCause
    reason: str
    answer: str
    attempts: int
    refusals: int
    must_check: bool
    next_attempt_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    created_at: datetime
    called_at: datetime | None
    ended_at: datetime | None

    @property
    def is_live(self) -> bool:
        """Whether LiveKit is still to be asked."""
        return self.status in {CallerActionStatus.PENDING, CallerActionStatus.SENDING}

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> CallerAction:
        """Return the action in a row of the table."""
        stored = cls._make(row[name] for name in cls._fields)
        return stored._replace(
            kind=CallerActionKind(stored.kind),
            status=CallerActionStatus(stored.status),
            cause=CallerActionCause(stored.cause),
        )


def new_action(
    identity: str,
    now: datetime,
    *,
    kind: CallerActionKind,
    transfer_to: str | None,
    cause: CallerActionCause,
    reason: str,
    participant_kind: str,
    **columns: Any,
) -> CallerAction:
    """Return an action that is due at once, or that has failed because it cannot be carried out.

    `columns`: those from `event_id` to `participant_sid` of the table.
    """
    action = CallerAction(
        id=identity,
        kind=kind,
        transfer_to=transfer_to if kind is CallerActionKind.TRANSFER else None,
        status=CallerActionStatus.PENDING,
        cause=cause,
        reason=reason,
        answer="",
        attempts=0,
        refusals=0,
        must_check=False,
        next_attempt_at=now,
        lease_owner=None,
        lease_until=None,
        created_at=now,
        called_at=None,
        ended_at=None,
        participant_kind=participant_kind,
        **columns,
    )
    if kind is not CallerActionKind.TRANSFER or participant_kind == ParticipantKind.SIP:
        return action
    return action._replace(
        status=CallerActionStatus.FAILED,
        cause=CallerActionCause.NO_PHONE_CALL,
        reason=NO_PHONE_CALL_REASON.format(kind=participant_kind or "unknown"),
        next_attempt_at=None,
        ended_at=now,
    )
