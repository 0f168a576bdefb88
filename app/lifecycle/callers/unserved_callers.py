"""What becomes of callers whose agents have all failed: a rule may want them removed or transferred."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.clock import new_id
from app.db.columns.action_types import CallerActionCause, CallerActionKind, OnNoShow
from app.db.tables import dispatch_callers, dispatches, events
from app.db.types import LIVE, DispatchStatus
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.callers.action_transition import create_actions
from app.lifecycle.handover import is_beside
from app.lifecycle.retry import LIVEKIT_TROUBLE
from app.outbox.caller_action import CallerAction, new_action
from app.outbox.dispatch import Dispatch


def is_without_agent(dispatch: Dispatch) -> bool:
    """Return whether a dispatch is over and its callers got no agent.

    Not one that failed because of trouble at LiveKit: it is tried again.
    """
    if dispatch.status is DispatchStatus.FAILED:
        return dispatch.cause not in LIVEKIT_TROUBLE
    return dispatch.status is DispatchStatus.NO_SHOW


def act_on_unserved(connection: Connection, after: AfterCommit, ended: Collection[Dispatch], now: datetime) -> None:
    """Create what the rules want for the callers of these dispatches, unless another live dispatch has the caller.

    That one decides if it ends without an agent, too. One that was replaced decides nothing any more.
    """
    ids = {one.id for one in ended if is_without_agent(one)}
    if not ids:
        return
    waiting = select(dispatch_callers).where(
        dispatch_callers.c.dispatch_id.in_(ids), dispatch_callers.c.left_at.is_(None)
    )
    callers = {row["participant_sid"]: row for row in connection.execute(waiting).mappings()}
    if not callers:
        return
    serving: dict[str, list[Dispatch]] = {}
    query = (
        select(dispatch_callers.c.participant_sid.label("caller_sid"), dispatches)
        .join(dispatches, dispatches.c.id == dispatch_callers.c.dispatch_id)
        .where(dispatch_callers.c.participant_sid.in_(callers))
        .order_by(dispatches.c.id)
    )
    sessions = {one.session for one in ended}
    for row in connection.execute(query).mappings():
        dispatch = Dispatch.from_row(row)
        if dispatch.session in sessions:
            serving.setdefault(row["caller_sid"], []).append(dispatch)
    deciding = {sid: chosen for sid, found in serving.items() if (chosen := _deciding(found)) is not None}
    if not deciding:
        return
    asked = select(events.c.id, events.c.participant_kind).where(
        events.c.id.in_({callers[sid]["event_id"] for sid in deciding})
    )
    kinds: Mapping[str, str] = {row.id: row.participant_kind for row in connection.execute(asked)}
    actions = []
    for sid, dispatch in deciding.items():
        caller = callers[sid]
        kind = kinds.get(caller["event_id"], "")
        actions.append(_action(dispatch, caller, kind, now))
    create_actions(connection, after, actions, now)


def _deciding(serving: list[Dispatch]) -> Dispatch | None:
    """Return the dispatch that says what becomes of a caller, of all that serve it; None if nothing is to be done."""
    if any(one.status in LIVE for one in serving):
        return None
    replaced = {one.replaces for one in serving if not is_beside(one)}
    last = (one for one in serving if one.id not in replaced and is_without_agent(one))
    return next((one for one in last if one.on_no_show is not OnNoShow.WAIT), None)


def _action(dispatch: Dispatch, caller: Mapping[Any, Any], kind: str, now: datetime) -> CallerAction:
    return new_action(
        new_id(),
        now,
        kind=CallerActionKind(dispatch.on_no_show.value),
        transfer_to=dispatch.transfer_to,
        cause=CallerActionCause.NO_AGENT,
        reason=f"no agent joined, and rule {dispatch.rule_name!r} says on_no_show {dispatch.on_no_show}",
        participant_kind=kind,
        event_id=caller["event_id"],
        dispatch_id=dispatch.id,
        rule_id=dispatch.rule_id,
        rule_name=dispatch.rule_name,
        rules_version=dispatch.rules_version,
        project=dispatch.project,
        room_name=dispatch.room_name,
        room_sid=dispatch.room_sid,
        participant_identity=caller["participant_identity"],
        participant_sid=caller["participant_sid"],
    )
