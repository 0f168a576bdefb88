"""One call: what is stored of one participant in one room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from app.audit.calls.call_head import CallAction, CallDispatch, CallHead, head_of
from app.audit.records.action_records import ActionRecord, read_actions
from app.audit.records.find_records import Projects, find_event, read_dispatches
from app.audit.records.record_types import AuditRecord, DispatchRecord, EventDetail, columns_of
from app.db.tables import IS_OF_ROOM, audit_log, dispatch_callers, dispatches, events
from app.db.types import AttemptOutcome, ReplacesKind
from app.livekit.vocabulary import JOINS, LEAVINGS
from app.outbox.dispatch import BESIDE
from app.webhook.event_store import name_in, trunk_number_in

MAX_EVENTS = 300
"""Events of one participant that a call shows."""

_MAX_DISPATCHES = 200


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The rows of one call, each list oldest first."""

    subject: EventDetail
    """The event that was asked for."""
    events: tuple[EventDetail, ...]
    """Of the participant itself; at most `MAX_EVENTS`."""
    room_events: tuple[EventDetail, ...]
    agent_events: tuple[EventDetail, ...]
    dispatches: tuple[DispatchRecord, ...]
    actions: tuple[ActionRecord, ...]
    """Removals and transfers of the caller."""
    interventions: tuple[AuditRecord, ...]
    """Actions of users on the events, such as replays."""

    @property
    def head(self) -> CallHead:
        """The call in short."""
        latest = next((one for one in reversed(self.events) if one.type in JOINS), self.subject)
        first = next((one for one in self.events if one.type in JOINS), latest)
        left = next((one for one in self.events if one.type in LEAVINGS), None)
        rows = [record.dispatch for record in self.dispatches]
        replaced = {row.replaces for row in rows if row.replaces_kind is ReplacesKind.REDRIVE}
        events = {one.id for one in self.events}
        own = [
            _made(record, is_redriven=record.dispatch.id in replaced, is_own=record.dispatch.event_id in events)
            for record in self.dispatches
        ]
        name = latest.participant_name or name_in(latest.body or {})
        actions = [CallAction(one.kind, one.status, one.reason, one.rule_name) for one in self.actions]
        return head_of(
            first,
            latest,
            own,
            left.received_at if left else None,
            name,
            actions=actions,
            trunk_number=_trunk_number(latest),
            decision=latest.decision,
        )


def _trunk_number(join: EventDetail) -> str | None:
    return join.trunk_number or trunk_number_in(join.body or {}, join.participant_kind)


def _made(record: DispatchRecord, *, is_redriven: bool, is_own: bool) -> CallDispatch:
    row = record.dispatch
    return CallDispatch(
        row.agent_to_ask,
        row.status,
        row.cause,
        row.reason,
        row.joined_at,
        is_redriven,
        row.id,
        row.rule_name,
        row.agent_name,
        row.rung,
        row.replaces_kind is ReplacesKind.HANDOVER,
        any(call.outcome == AttemptOutcome.LEFT_EARLY for call in record.calls),
        is_own,
        row.waiting_since,
        row.intent_key.startswith(BESIDE),
    )


def read_call(connection: Connection, reference: str, projects: Projects = None) -> CallFacts:
    """Return the rows of the call that `reference` identifies (see `find_event`); raises NotFoundError."""
    subject = find_event(connection, reference, projects)
    project, sid = subject.project, subject.participant_sid
    own = _events_of(connection, project, [sid]) if sid else [subject]
    records = read_dispatches(connection, _dispatch_ids(connection, project, own, sid))
    agents = {record.dispatch.agent_sid for record in records if record.dispatch.agent_sid}
    return CallFacts(
        subject,
        tuple(own),
        tuple(_room_events(connection, project, subject.room_sid)) if subject.room_sid else (),
        tuple(_events_of(connection, project, agents - {sid})),
        tuple(records),
        tuple(read_actions(connection, project, sid, [one.id for one in own])),
        tuple(_interventions(connection, [one.id for one in own])),
    )


def _events_of(connection: Connection, project: str, participant_sids: Collection[str]) -> list[EventDetail]:
    if not participant_sids:
        return []
    query = (
        select(*(events.c[name] for name in columns_of(EventDetail)))
        .where(events.c.participant_sid.in_(participant_sids), events.c.project == project)
        .order_by(events.c.id)
        .limit(MAX_EVENTS)
    )
    return [EventDetail.from_row(row) for row in connection.execute(query).mappings()]


def _interventions(connection: Connection, event_ids: Sequence[str]) -> list[AuditRecord]:
    query = (
        select(audit_log)
        .where(audit_log.c.entity_id.in_(event_ids), audit_log.c.entity == "event")
        .order_by(audit_log.c.id)
        .limit(MAX_EVENTS)
    )
    return [AuditRecord.from_row(row) for row in connection.execute(query).mappings()]


def _room_events(connection: Connection, project: str, room_sid: str) -> list[EventDetail]:
    query = (
        select(*(events.c[name] for name in columns_of(EventDetail)))
        .where(
            events.c.room_sid == room_sid,
            events.c.project == project,
            text(IS_OF_ROOM),
        )
        .order_by(events.c.id)
        .limit(MAX_EVENTS)
    )
    return [EventDetail.from_row(row) for row in connection.execute(query).mappings()]


def _dispatch_ids(connection: Connection, project: str, own: Iterable[EventDetail], participant_sid: str) -> list[str]:
    """Return the dispatches made for the participant, those that serve it with others, and their replacements."""
    made_for = [one.id for one in own]
    query = select(dispatches.c.id, dispatches.c.event_id).where(dispatches.c.event_id.in_(made_for))
    found: dict[str, str] = {row.id: row.event_id for row in connection.execute(query.limit(_MAX_DISPATCHES))}
    if participant_sid:
        serving = (
            select(dispatches.c.id, dispatches.c.event_id)
            .join(dispatch_callers, dispatch_callers.c.dispatch_id == dispatches.c.id)
            .where(dispatch_callers.c.participant_sid == participant_sid, dispatches.c.project == project)
            .limit(_MAX_DISPATCHES)
        )
        found |= {row.id: row.event_id for row in connection.execute(serving)}
    # A replacement keeps the event of the dispatch that it replaces.
    shared = set(found.values()) - set(made_for)
    if shared:
        replacing = (
            select(dispatches.c.id, dispatches.c.event_id, dispatches.c.replaces)
            .where(dispatches.c.event_id.in_(shared), dispatches.c.replaces.is_not(None))
            .order_by(dispatches.c.id)
            .limit(_MAX_DISPATCHES)
        )
        for row in connection.execute(replacing):
            if row.replaces in found:
                found[row.id] = row.event_id
    return sorted(found)
