"""Everything that is stored about a person, as one JSON document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.audit.people.person import Person
from app.audit.people.person_rows import PersonRows, read_by_id, rows_of
from app.audit.records.action_records import with_changes
from app.audit.records.find_records import read_dispatches
from app.audit.records.record_types import AuditRecord, EventDetail
from app.db.tables import audit_log, caller_actions, events, token_dispatches
from app.db.types import format_instant


def export_person(connection: Connection, person: Person, rows: PersonRows, now: datetime) -> dict[str, Any]:
    """Return the rows of the person: events, dispatches with attempts, changes and callers, actions on the person,
    promises, and lines of the audit log; other people's are left out.
    """  # noqa: D205 - one sentence
    dispatches = [record.to_json() for record in read_dispatches(connection, rows.own_dispatches)]
    for dispatch in dispatches:
        dispatch["callers"] = [one for one in dispatch["callers"] if one["participant_sid"] in person.participant_sids]
    lines = rows_of(connection, audit_log, audit_log.c.entity_id, rows.own_events)
    return {
        "person": person.reference,
        "phone_number": person.number or None,
        "project": person.project,
        "exported_at": format_instant(now),
        "identities": sorted(person.identities),
        "phone_numbers": sorted(person.phone_numbers),
        "events": [EventDetail.from_row(row).to_json() for row in read_by_id(connection, events, rows.own_events)],
        "dispatches": dispatches,
        "caller_actions": [
            one.to_json()
            for one in with_changes(connection, list(read_by_id(connection, caller_actions, rows.own_actions)))
        ],
        "token_dispatches": [_promise_json(row) for row in read_by_id(connection, token_dispatches, rows.own_promises)],
        "audit_log": [AuditRecord.from_row(row).to_json() for row in sorted(lines, key=lambda row: int(row["id"]))],
        "rules_that_name_the_person": list(rows.rules),
        "in_a_call_in": list(rows.live_rooms),
    }


def _promise_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: format_instant(value) if isinstance(value, datetime) else value for name, value in row.items()}
