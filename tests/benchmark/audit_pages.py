"""Any page of the console and of the API over millions of calls, on PostgreSQL: as questions, and as visits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from app.audit import (
    CallFilter,
    CallState,
    DispatchFilter,
    EventFilter,
    list_calls,
    list_dispatches,
    list_events,
    timeline,
)
from app.db.engine import create_reader_engine
from app.db.types import DispatchStatus, EventOutcome, EventSource
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.page_visits import percentile, visit_pages
from tests.benchmark.stored_calls import StoredCalls, found_calls, stored_calls

CALLS = 1_000_000
"""Of the whole run; ten million, as the design says, take a quarter of an hour to fill in."""
QUICK_CALLS = 200_000
TARGET_MS = 50.0

Question = Callable[[Connection, str | None], Any]


def measure(*, quick: bool = False, calls: int | None = None, database: str | None = None) -> list[Figure]:
    """Return the p95 of the lists as the database answers them, and of all pages as a browser or client gets them."""
    wanted = calls or (QUICK_CALLS if quick else CALLS)
    with nullcontext(found_calls(database)) if database else stored_calls(wanted) as stored:
        return [_lists(stored, 2 if quick else 4), *visit_pages(stored, 2 if quick else 3, 10 if quick else 20)]


def _lists(stored: StoredCalls, times: int) -> Figure:
    readers = create_reader_engine(stored.url)
    with readers.connect() as connection:
        rounds = [_ask_everything(connection, stored) for _ in range(times)]
    readers.dispose()
    rounds = rounds[1:]  # the first one fills the caches
    spent = sorted((milliseconds, name) for taken in rounds for name, milliseconds in taken)
    slowest = ", ".join(f"{name} {milliseconds:.0f} ms" for milliseconds, name in spent[-3:])
    return Figure(
        name=f"any filtered audit page over {stored.calls:,} calls, p95",
        unit="ms",
        ours=[percentile([milliseconds for _, milliseconds in taken], 0.95) for taken in rounds],
        aim=Aim.AT_MOST,
        target=TARGET_MS,
        note=f"{len(rounds[0])} pages a round; slowest: {slowest}",
    )


def _ask_everything(connection: Connection, stored: StoredCalls) -> list[tuple[str, float]]:
    taken = []
    for name, question in questions(stored).items():
        cursor: str | None = None
        for page in range(4):
            began = time.perf_counter()
            answer = question(connection, cursor)
            taken.append((f"{name} page {page + 1}", (time.perf_counter() - began) * 1000))
            cursor = getattr(answer, "next_cursor", None)
            if cursor is None:
                break
    return taken


def questions(stored: StoredCalls) -> dict[str, Question]:
    calls = stored.calls
    day: dict[str, Any] = {"since": stored.newest - timedelta(days=3), "until": stored.newest - timedelta(days=2)}
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
        "calls of everybody's identity": CallFilter(identity="anonymous"),
        "calls of everybody's room": CallFilter(search="lobby"),
        "calls of everybody's number, of an agent": CallFilter(phone_number="+15550000000", agent="agent-3"),
        "search everybody's room, number": DispatchFilter(search="lobby", phone_number="+15550000000"),
    }
    readers: dict[type[Any], Callable[..., Any]] = {
        DispatchFilter: list_dispatches,
        EventFilter: list_events,
        CallFilter: list_calls,
    }

    def page(chosen: Any) -> Question:
        return lambda connection, cursor: readers[type(chosen)](connection, chosen, cursor=cursor)

    found: dict[str, Question] = {name: page(chosen) for name, chosen in asked.items()}
    found["timeline of a participant"] = lambda connection, _cursor: timeline(connection, f"PA_{calls // 2}")
    found["timeline of an identity"] = lambda connection, _cursor: timeline(connection, "anonymous")
    found["timeline of a number"] = lambda connection, _cursor: timeline(connection, "+15550000000")
    return found
