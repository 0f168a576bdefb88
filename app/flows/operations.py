"""What people do to dispatches by hand: redrive, cancel, replay. Each names who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.clock import new_id
from app.db.types import DispatchStatus, EventSource
from app.errors import ConflictError, NotFoundError
from app.lifecycle.leaving import Withdrawal, ended, fresh, withdrawal_of
from app.lifecycle.transition import move
from app.livekit.vocabulary import LEAVINGS, EventType, ParticipantKind
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move, inherit_callers, live_by_intent, lock
from app.outbox.room_session import same_wishes
from app.outbox.states import REDRIVABLE, WAITING
from app.plan.build import build_intent
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event
from app.webhook.event_store import stored_event
from app.webhook.parse import build_event


@dataclass(frozen=True, slots=True)
class Intervention:
    """What was done. `refused`: by dispatch id, why nothing was done."""

    moves: tuple[Move, ...]
    withdrawals: tuple[Withdrawal, ...]
    refused: dict[str, str]


def redrive(
    connection: Connection, ids: Sequence[str], *, by: str, book: RuleBook, metadata_max_bytes: int, now: datetime
) -> Intervention:
    """Try again what ended without an agent: from the beginning, with what its rule wishes now.

    Of several for the same callers the latest is tried, for all of them: who came back has another SID. Whoever has
    left since is noticed before LiveKit is called. Refused: what is not `failed`, `no_show` or `cancelled`, what
    another live dispatch serves already, and what the rule's template still cannot make.
    """
    current = _all_of(connection, ids)
    moves: list[Move] = []
    refused: dict[str, str] = {}
    heirs: dict[str, str] = {}
    again: dict[str, tuple[Dispatch, dict[str, Any]]] = {}
    for dispatch in sorted(current.values(), key=lambda one: one.id, reverse=True):
        if dispatch.status not in REDRIVABLE:
            refused[dispatch.id] = f"is {dispatch.status}; only failed, no_show and cancelled can be redriven"
            continue
        wish = _wish_of_now(connection, dispatch, book, metadata_max_bytes)
        if isinstance(wish, str):
            refused[dispatch.id] = wish
        else:
            again[dispatch.id] = (dispatch, wish)
    keys = {str(wish["intent_key"]) for _, wish in again.values()}
    taken = {key: one.id for key, one in live_by_intent(connection, keys).items()}
    for dispatch, wish in again.values():
        server = taken.setdefault(str(wish["intent_key"]), dispatch.id)
        if server == dispatch.id:
            moves.append(_from_the_beginning(dispatch, wish, by, now))
        else:
            refused[dispatch.id] = f"dispatch {server} serves the same caller already"
            heirs[dispatch.id] = server
    move(connection, moves, now)
    inherit_callers(connection, heirs | same_wishes(connection, [one.dispatch for one in moves]))
    return Intervention(tuple(moves), (), refused)


def cancel(connection: Connection, ids: Sequence[str], *, by: str, now: datetime) -> Intervention:
    """Give up dispatches that still wait for their agent; refused: those whose agent has come, or that have ended."""
    moves: list[Move] = []
    withdrawals: list[Withdrawal] = []
    refused: dict[str, str] = {}
    for dispatch in _all_of(connection, ids).values():
        if dispatch.status not in WAITING:
            refused[dispatch.id] = f"is {dispatch.status}; only what waits for its agent can be cancelled"
            continue
        moves.append(Move(dispatch, DispatchStatus.CANCELLED, "cancelled by hand", by, ended(now)))
        withdrawal = withdrawal_of(dispatch)
        if withdrawal is not None:
            withdrawals.append(withdrawal)
    move(connection, moves, now)
    return Intervention(tuple(moves), tuple(withdrawals), refused)


def replayed_event(connection: Connection, event_id: str, now: datetime, redact: Sequence[str] = ()) -> Event:
    """Return a stored event as a new one, to be accepted again under the rules of now; callers gone are noticed."""
    stored = stored_event(connection, event_id)
    if stored.type in LEAVINGS | {EventType.ROOM_FINISHED}:
        raise ConflictError(f"{stored.type} tells of an end; replaying it would end what has begun since")
    if stored.participant_kind == ParticipantKind.AGENT:
        raise ConflictError("it tells of an agent; replayed, it would be taken for an agent that has come now")
    identity = new_id()
    return build_event(
        stored.body,
        project=stored.project,
        source=EventSource.REPLAY,
        received_at=now,
        event_id=identity,
        redact=redact,
        dedupe_key=f"{stored.project}/replay/{identity}",
        is_immediate=False,
    )


def _all_of(connection: Connection, ids: Sequence[str]) -> dict[str, Dispatch]:
    current = lock(connection, ids)
    missing = [one for one in ids if one not in current]
    if missing:
        raise NotFoundError(f"no dispatch has the id {', '.join(missing)}")
    return current


def _wish_of_now(
    connection: Connection, dispatch: Dispatch, book: RuleBook, metadata_max_bytes: int
) -> dict[str, Any] | str:
    """Return the columns that the dispatch's rule fills now, or why it cannot; what it said then if it is gone."""
    rule = book.rule(dispatch.rule_id)
    if rule is None:
        return {"intent_key": dispatch.intent_key}
    intent = build_intent(rule, stored_event(connection, dispatch.event_id), metadata_max_bytes)
    if intent.failure is not None:
        return intent.failure
    return {
        "intent_key": intent.intent_key,
        "agent_name": intent.agent_name,
        "scope": intent.scope,
        "metadata": intent.metadata,
        "attributes": dict(intent.attributes),
        "deployment": rule.deployment,
        "answer_timeout_s": rule.answer_timeout_s,
        "max_attempts": rule.max_attempts,
        "fallback_agent_name": rule.fallback_agent_name,
        "recover": rule.recover,
        "withdraw": rule.withdraw,
        "rules_version": book.version,
    }


def _from_the_beginning(dispatch: Dispatch, wish: Mapping[str, Any], by: str, now: datetime) -> Move:
    fields = fresh(now)
    # Call numbers go on: attempts made before stay in the history.
    for kept in ("created_at", "attempts", "recovers", "recoveries"):
        del fields[kept]
    fields |= {"answer_deadline": None, "livekit_dispatch_id": None, "agent_identity": None, "agent_sid": None}
    fields |= {**wish, "next_attempt_at": now, "must_look": dispatch.attempts > 0}
    return Move(dispatch, DispatchStatus.PENDING, "redriven by hand", by, fields)
