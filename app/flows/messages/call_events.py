"""The webhook events of a transaction that changed dispatches: an agent joined, none did, the caller left, ..."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.db.types import Cause, DispatchStatus, OutgoingEvent, ReplacesKind, format_instant
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.handover import is_beside
from app.outbox.dispatch import Dispatch
from app.outbox.move import Move
from app.outbox.states import WAITING


def call_events(after: AfterCommit) -> Iterator[tuple[OutgoingEvent, Dispatch]]:
    """Yield each event with the dispatch as it is now."""
    for dispatch in after.created:
        if dispatch.status is DispatchStatus.FAILED and not is_beside(dispatch):
            yield OutgoingEvent.CALL_NO_SHOW, dispatch
    for move in after.moves:
        if move.status is not move.dispatch.status:
            for event in _events_of(move):
                yield event, move.result


def _events_of(move: Move) -> Iterator[OutgoingEvent]:
    match move.status:
        case DispatchStatus.JOINED if move.dispatch.status in WAITING:
            yield OutgoingEvent.CALL_ANSWERED
            if move.dispatch.replaces_kind is ReplacesKind.HANDOVER and not move.dispatch.is_return:
                yield OutgoingEvent.CALL_HANDED_OVER
        case _ if is_beside(move.result):
            return  # whatever came of the hand-over, the first agent has the caller
        case DispatchStatus.NO_SHOW | DispatchStatus.FAILED:
            yield OutgoingEvent.CALL_NO_SHOW
        case DispatchStatus.CANCELLED if move.cause is Cause.CALLER_LEFT:
            yield OutgoingEvent.CALL_ABANDONED
        case _:
            pass


def call_data(dispatch: Dispatch, public_url: str) -> dict[str, Any]:
    """Return what a webhook says of a dispatch: ids and names of rules and agents, and nothing that names a caller."""
    joined = dispatch.joined_at
    waited = None if joined is None else max(0.0, (joined - dispatch.waits_since).total_seconds())
    return {
        "call_id": dispatch.event_id,
        "dispatch_id": dispatch.id,
        "project": dispatch.project,
        "room_sid": dispatch.room_sid,
        "participant_sid": dispatch.participant_sid,
        "rule_id": dispatch.rule_id,
        "rule": dispatch.rule_name,
        "agent_name": dispatch.agent_to_ask,
        "is_fallback": dispatch.is_fallback,
        "status": str(dispatch.status),
        "cause": str(dispatch.cause),
        "attempts": dispatch.attempts,
        "replaces": dispatch.replaces,
        "created_at": format_instant(dispatch.created_at),
        "joined_at": None if joined is None else format_instant(joined),
        "seconds_to_agent": None if waited is None else round(waited, 3),
        "link": f"{public_url}/console/calls/{dispatch.event_id}" if public_url else None,
    }
