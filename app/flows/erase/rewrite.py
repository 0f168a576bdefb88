"""Rewrites stored rows without names: the columns that may hold them, and lines of the audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import JSON, Connection, Table, Text, delete, insert, update

from app.audit.people.person_rows import read_by_id, rows_of
from app.db.columns.packed_json import PackedJson
from app.db.tables import audit_log, dispatch_attempts, dispatch_callers
from app.flows.erase.scrub import Scrubber

EVENT_COLUMNS_KEPT: Final = frozenset(
    {"id", "livekit_id", "dedupe_key", "project", "type", "source", "room_sid", "participant_sid", "participant_kind"}
    | {"participant_role", "occurred_at", "received_at", "outcome", "rules_version"}
)
"""Columns of an event that say nothing of a person; names are replaced in all others that hold text."""
DISPATCH_COLUMNS_KEPT: Final = frozenset(
    {"id", "event_id", "rule_name", "project", "room_sid", "participant_sid", "agent_name", "deployment", "scope"}
    | {
        "on_no_show",
        "transfer_to",
        "status",
        "cause",
        "fallbacks",
        "recover",
        "asked_agent_name",
        "lease_owner",
        "job_id",
        "livekit_dispatch_id",
    }
    | {"worker_id", "agent_sid", "replaces", "replaces_kind", "handed_to", "request_key", "intent_key"}
)
"""Likewise of a dispatch."""

ACTION_COLUMNS_KEPT: Final = frozenset(
    {"id", "event_id", "dispatch_id", "rule_name", "project", "room_sid", "participant_sid", "participant_kind"}
    | {"kind", "status", "cause", "lease_owner"}
)
"""Likewise of an action on a caller."""


def scrubbed(scrubber: Scrubber, table: Table, kept: frozenset[str], row: dict[str, Any]) -> dict[str, Any]:
    """Return the texts and documents of a row, but those of the columns `kept`, with the names replaced."""
    names = (column.name for column in table.c if isinstance(column.type, Text | JSON | PackedJson))
    return {name: scrubber.json(row[name]) for name in names if name not in kept}


def write_changed(connection: Connection, table: Table, row: dict[str, Any], changed: dict[str, Any]) -> None:
    """Write the columns of `changed` that differ from the row."""
    different = {name: value for name, value in changed.items() if value != row[name]}
    if different:
        connection.execute(update(table).where(table.c.id == row["id"]).values(different))


def scrub_audit(connection: Connection, scrubber: Scrubber, ids: Sequence[int]) -> None:
    """Replace names in lines of the audit log: lines cannot be changed, so each is written anew with its id."""
    lines = list(read_by_id(connection, audit_log, ids))
    anew = [line for line in map(scrubber.json, lines) if line not in lines]
    if anew:
        connection.execute(delete(audit_log).where(audit_log.c.id.in_([line["id"] for line in anew])))
        connection.execute(insert(audit_log), anew)


def scrub_attempts(connection: Connection, scrubber: Scrubber, dispatch_ids: Sequence[str]) -> None:
    """Replace names in what LiveKit answered to attempts."""
    for attempt in rows_of(connection, dispatch_attempts, dispatch_attempts.c.dispatch_id, dispatch_ids):
        text = attempt["error_text"]
        if text and scrubber.text(text) != text:
            connection.execute(
                update(dispatch_attempts)
                .where(dispatch_attempts.c.dispatch_id == attempt["dispatch_id"])
                .where(dispatch_attempts.c.number == attempt["number"])
                .values(error_text=scrubber.text(text))
            )


def rename_callers(connection: Connection, dispatch_ids: Sequence[str], rename: Callable[[str, str], str]) -> None:
    """Replace identities of callers of dispatches: `rename` is given the SID and the identity."""
    for caller in rows_of(connection, dispatch_callers, dispatch_callers.c.dispatch_id, dispatch_ids):
        sid, identity = caller["participant_sid"], caller["participant_identity"]
        renamed = rename(sid, identity)
        if renamed != identity:
            connection.execute(
                update(dispatch_callers)
                .where(dispatch_callers.c.dispatch_id == caller["dispatch_id"])
                .where(dispatch_callers.c.participant_sid == sid)
                .values(participant_identity=renamed)
            )


def overwriting(unit: Callable[[Connection, Any], None], ids: Any, connection: Connection) -> None:
    """Run a unit; on SQLite what it removes is overwritten in the file, which costs too much for all writes."""
    if connection.dialect.name != "sqlite":
        unit(connection, ids)
        return
    connection.exec_driver_sql("PRAGMA secure_delete = ON")
    try:
        unit(connection, ids)
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete = OFF")
