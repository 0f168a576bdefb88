"""Reads the heads of calls from the rows of their joins and dispatches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from app.audit.calls.call_head import CallAction, CallDispatch, CallHead, head_of
from app.audit.records.record_types import EventSummary, columns_of
from app.db.columns.action_types import CallerActionKind, CallerActionStatus
from app.db.columns.column_types import Timestamp
from app.db.tables import caller_actions, dispatch_attempts, dispatch_callers, dispatches, events
from app.db.types import AttemptOutcome, Cause, DispatchStatus, EventOutcome, ReplacesKind
from app.livekit.vocabulary import LEAVINGS
from app.outbox.dispatch import BESIDE, asked_agent
from app.webhook.event_store import name_in, trunk_number_in
from app.webhook.stored_body import body_of

_OF_DISPATCH = (
    "id",
    "agent_name",
    "asked_agent_name",
    "rule_name",
    "rung",
    "status",
    "cause",
    "reason",
    "joined_at",
    "replaces",
    "replaces_kind",
    "waiting_since",
    "intent_key",
)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call of a list, with what filters need."""

    join: EventSummary
    head: CallHead
    made: tuple[CallDispatch, ...]
    actions: tuple[CallAction, ...]
    body: Mapping[str, Any] | None
    """Of the join, if it was asked for."""
    trunk_number: str | None
    """Our number in a phone call."""


def read_calls(connection: Connection, event_ids: Sequence[str], *, with_bodies: bool = False) -> list[CallRow]:
    """Return the calls that began with these events, in their order; an id without an event is left out."""
    joins = _joins(connection, event_ids, with_bodies=with_bodies)
    ids = [event_id for event_id in event_ids if event_id in joins]
    if not ids:
        return []
    rows: dict[str, dict[str, Mapping[Any, Any]]] = {join_id: {} for join_id in ids}
    sids = {joins[event_id]["participant_sid"] for event_id in ids}
    own: set[str] = set()
    left: dict[str, datetime] = {}
    unserved = set(ids)
    columns = [dispatches.c[name] for name in _OF_DISPATCH]
    made = select(dispatches.c.event_id, *columns).where(dispatches.c.event_id.in_(ids))
    for row in connection.execute(made).mappings():
        rows[row["event_id"]][row["id"]] = row
        own.add(row["id"])
    serving = (
        select(dispatch_callers.c.event_id, dispatch_callers.c.left_at, *columns)
        .join(dispatches, dispatches.c.id == dispatch_callers.c.dispatch_id)
        .where(dispatch_callers.c.participant_sid.in_(sids), dispatch_callers.c.event_id.in_(ids))
    )
    for row in connection.execute(serving).mappings():
        rows[row["event_id"]].setdefault(row["id"], row)
        unserved.discard(row["event_id"])
        if row["left_at"] is not None:
            left[row["event_id"]] = row["left_at"]
    left |= _leavings(connection, {event_id: joins[event_id] for event_id in unserved})
    decisions = _decisions_of_ignored(connection, joins)
    early = _left_early(connection, [key for of_call in rows.values() for key in of_call])
    actions = _actions_of(connection, ids)
    found = []
    for event_id in ids:
        stored = joins[event_id]
        join = EventSummary.from_row(stored)
        of_call = _dispatches_of(rows[event_id], own, early)
        name, done, trunk = stored["participant_name"], actions.get(event_id, ()), stored["trunk_number"]
        head = head_of(
            join,
            join,
            of_call,
            left.get(event_id),
            name,
            actions=done,
            trunk_number=trunk,
            decision=decisions.get(event_id),
        )
        found.append(CallRow(join, head, tuple(of_call), tuple(done), stored["body"], stored["trunk_number"]))
    return found


def _leavings(connection: Connection, joins: Mapping[str, Mapping[Any, Any]]) -> dict[str, datetime]:
    """Return when the callers of these joins left, as far as they have; `joins` by id, as the result."""
    if not joins:
        return {}
    column = events.c
    sids = {row["participant_sid"] for row in joins.values()} - {""}
    query = (
        select(column.project, column.participant_sid, func.min(column.received_at, type_=Timestamp()).label("left_at"))
        .where(column.participant_sid.in_(sids), column.type.in_(LEAVINGS))
        .group_by(column.project, column.participant_sid)
    )
    found = {(row.project, row.participant_sid): row.left_at for row in connection.execute(query)}
    of_join = {event_id: found.get((row["project"], row["participant_sid"])) for event_id, row in joins.items()}
    return {event_id: left_at for event_id, left_at in of_join.items() if left_at is not None}


def _decisions_of_ignored(connection: Connection, joins: Mapping[str, Mapping[Any, Any]]) -> dict[str, Any]:
    """Return what was decided for the joins that were ignored, by id."""
    ignored = [event_id for event_id, row in joins.items() if row["outcome"] == EventOutcome.IGNORED]
    if not ignored:
        return {}
    query = select(events.c.id, events.c.decision).where(events.c.id.in_(ignored))
    return {row.id: row.decision for row in connection.execute(query)}


def _actions_of(connection: Connection, event_ids: Sequence[str]) -> dict[str, list[CallAction]]:
    """Return what was to be done with the callers who joined by these events, oldest first."""
    found: dict[str, list[CallAction]] = {}
    columns = [caller_actions.c[name] for name in ("event_id", "kind", "status", "reason", "rule_name")]
    query = select(*columns).where(caller_actions.c.event_id.in_(event_ids)).order_by(caller_actions.c.id)
    for row in connection.execute(query):
        action = CallAction(CallerActionKind(row.kind), CallerActionStatus(row.status), row.reason, row.rule_name)
        found.setdefault(row.event_id, []).append(action)
    return found


def _joins(connection: Connection, ids: Sequence[str], *, with_bodies: bool) -> dict[str, Mapping[Any, Any]]:
    """Return the events by id, with the callers' names and our numbers, and the bodies if asked for.

    Rows of earlier releases have them in their bodies only.
    """
    column = events.c
    columns = [column[name] for name in columns_of(EventSummary)]
    query = select(*columns, column.participant_name, column.trunk_number, column.body).where(column.id.in_(ids))
    found: dict[str, Mapping[Any, Any]] = {}
    for row in connection.execute(query).mappings():
        body = body_of(row)
        name = row["participant_name"] or name_in(body or {})
        trunk = row["trunk_number"] or trunk_number_in(body or {}, row["participant_kind"])
        more = {"participant_name": name, "trunk_number": trunk, "body": body if with_bodies else None}
        found[row["id"]] = {**row, **more}
    return found


def _left_early(connection: Connection, dispatch_ids: Sequence[str]) -> set[str]:
    """Return the dispatches of which an agent left before `min_stay_s`."""
    if not dispatch_ids:
        return set()
    attempt = dispatch_attempts.c
    query = select(attempt.dispatch_id).where(
        attempt.dispatch_id.in_(dispatch_ids), attempt.outcome == AttemptOutcome.LEFT_EARLY
    )
    return set(connection.scalars(query))


def _dispatches_of(rows: Mapping[str, Mapping[Any, Any]], own: set[str], early: set[str]) -> list[CallDispatch]:
    """Return the dispatches of a call, oldest first; `rows` by id."""
    redriven = {row["replaces"] for row in rows.values() if row["replaces_kind"] == ReplacesKind.REDRIVE}
    return [
        CallDispatch(
            asked_agent(row["agent_name"], row["asked_agent_name"]),
            DispatchStatus(row["status"]),
            Cause(row["cause"]),
            row["reason"],
            row["joined_at"],
            key in redriven,
            key,
            row["rule_name"],
            row["agent_name"],
            row["rung"],
            row["replaces_kind"] == ReplacesKind.HANDOVER,
            key in early,
            key in own,
            row["waiting_since"],
            row["intent_key"].startswith(BESIDE),
        )
        for key, row in sorted(rows.items())
    ]
