"""Every question that the console and the API ask of stored calls, the awkward ones among them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from app.audit import (
    CallDirection,
    CallFilter,
    CallOutcome,
    CallState,
    DispatchFilter,
    EventFilter,
    list_calls,
    list_dispatches,
    list_events,
    timeline,
)
from app.db.types import DispatchStatus, EventOutcome, EventSource
from tests.workload.stored_calls import StoredCalls

Question = Callable[[Connection, str | None], Any]


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
        "common identity": DispatchFilter(identity="anonymous"),
        "common identity, failed": DispatchFilter(identity="anonymous", statuses=(failed,)),
        "room": DispatchFilter(room=f"room-{calls // 3}"),
        "common room, agent": DispatchFilter(room="lobby", agent="agent-19"),
        "number": DispatchFilter(phone_number=f"+34{calls // 100}"),
        "common number": DispatchFilter(phone_number="+15550000000"),
        "common number, failed": DispatchFilter(phone_number="+15550000000", statuses=(failed,)),
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
        "calls without an agent": CallFilter(states={CallState.NO_SHOW}),
        "calls without match": CallFilter(states={CallState.NO_MATCH}),
        "calls abandoned, of an agent": CallFilter(states={CallState.ABANDONED}, agent="agent-3"),
        "calls of an identity": CallFilter(identity=f"caller-{calls // 3}"),
        "calls of common identity": CallFilter(identity="anonymous"),
        "calls of common room": CallFilter(search="lobby"),
        "calls of common number, of an agent": CallFilter(phone_number="+15550000000", agent="agent-3"),
        "calls found by an identity": CallFilter(q=f"CALLER-{calls // 3}"),
        "calls found by how few identities begin": CallFilter(q=f"caller-{calls // 3}"[:-2]),
        "calls found by how most identities begin": CallFilter(q="Caller-"),
        "calls found by how most begin, without an agent": CallFilter(q="caller-", states={CallState.NO_SHOW}),
        "calls found by how a common room begins": CallFilter(q="lobb"),
        "calls found by a common number": CallFilter(q="555 000 0000"),
        "calls found by four digits": CallFilter(q=f"{calls // 100:06}"[-4:]),
        "calls found by nothing": CallFilter(q="nothing of that name"),
        "calls found by a participant": CallFilter(q=f"PA_{calls // 2}"),
        "calls of an agent, found by a name": CallFilter(q="caller-1", agent="agent-3"),
        "calls via fallback": CallFilter(outcome=CallOutcome.FALLBACK),
        "calls handed over": CallFilter(outcome=CallOutcome.HANDED_OVER),
        "calls left too soon": CallFilter(outcome=CallOutcome.LEFT_EARLY),
        "calls with an agent": CallFilter(outcome=CallOutcome.JOINED),
        "calls abandoned": CallFilter(outcome=CallOutcome.ABANDONED),
        "calls in, by phone": CallFilter(direction=CallDirection.INBOUND),
        "calls with metadata that none has": CallFilter(metadata=(("language", "xx"),)),
        "search common room, number": DispatchFilter(search="lobby", phone_number="+15550000000"),
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
