"""Writes the rows of past calls: events, dispatches with their attempts and callers, and the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert

from app.db.tables import audit_log, dispatch_attempts, dispatch_callers, dispatches, events
from app.db.types import AttemptOutcome, Cause, DispatchStatus, EventOutcome
from app.flows.sample_history.past_call import DELAY, Fate, PastCall
from app.outbox.dispatch_factory import from_intent
from app.plan.build import Intent, build_plan
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.translation import recorded
from app.webhook.event import Event
from app.webhook.event_store import to_row

_CALL_S: Final = 0.012
"""Seconds that a call to LiveKit takes."""
_MISSED: Final = "no worker is seen to have taken it"


@dataclass(slots=True)
class _Rows:
    """Rows to be inserted, by their table."""

    events: list[dict[str, Any]] = field(default_factory=list)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    callers: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)


def write_history(connection: Connection, calls: Sequence[PastCall], metadata_max_bytes: int) -> None:
    """Insert the rows of past calls, decided by the present rules; those that match no rule only have events."""
    book = read_book(connection)
    rows = _Rows()
    for call in calls:
        _add_call(rows, call, book, metadata_max_bytes)
    rows.changes.sort(key=lambda row: row["changed_at"])  # ids are in the order of time
    for table, made in (
        (events, rows.events),
        (dispatches, rows.dispatches),
        (dispatch_attempts, rows.attempts),
        (dispatch_callers, rows.callers),
        (audit_log, rows.changes),
    ):
        if made:
            connection.execute(insert(table), made)


def _add_call(rows: _Rows, call: PastCall, book: RuleBook, metadata_max_bytes: int) -> None:
    event = call.joins()
    decision = evaluate(book, event)
    intents = build_plan(decision, event, metadata_max_bytes).intents
    documents = decision.to_json()
    outcome = EventOutcome.PLANNED if intents else EventOutcome.NO_MATCH
    if intents:
        documents["dispatches"] = [_add_dispatch(rows, call, event, intents[0], book.version)]
    rows.events.append(_event_row(event, outcome, book.version, documents))
    rows.events.append(_event_row(call.leaves(), EventOutcome.IGNORED, book.version, {"matched": []}))


def _event_row(event: Event, outcome: EventOutcome, version: int, decision: dict[str, Any]) -> dict[str, Any]:
    return {
        **to_row(event),
        "outcome": outcome,
        "rules_version": version,
        "decision": {"rules_version": version, **decision},
    }


def _add_dispatch(rows: _Rows, call: PastCall, event: Event, intent: Intent, version: int) -> str:
    """Add the rows of the call's dispatch; return its id."""
    began = event.received_at
    made = from_intent(call.id_at(began, 4), event, intent, version, began)._asdict()
    asked = _asked(call, made)
    changes: list[tuple[DispatchStatus | None, DispatchStatus, datetime, str]] = [
        (None, DispatchStatus.SENDING, began, made["reason"])
    ]
    start = began
    for number, (agent_name, rung) in enumerate(asked, 1):
        accepted = start + timedelta(seconds=_CALL_S)
        changes.append((DispatchStatus.SENDING, DispatchStatus.DISPATCHED, accepted, "LiveKit accepted the dispatch"))
        following = asked[number] if number < len(asked) else None
        missed = following is not None or call.fate is Fate.NO_AGENT
        rows.attempts.append(_attempt_row(call, made["id"], number, agent_name, accepted, missed=missed))
        made |= {"attempts": number, "rung": rung, "dispatched_at": accepted}
        if following is not None:
            missed_at = accepted + timedelta(seconds=made["answer_timeout_s"])
            start = missed_at + timedelta(seconds=_CALL_S)
            then = "asking again" if following == (agent_name, rung) else f"asking {following[0]} instead"
            text = f"{agent_name} did not join: {_MISSED}; {then}"
            changes.append((DispatchStatus.DISPATCHED, DispatchStatus.PENDING, missed_at, text))
            changes.append((DispatchStatus.PENDING, DispatchStatus.SENDING, start, "claimed for a call to LiveKit"))
    agent_name, rung = asked[-1]
    made["asked_agent_name"] = agent_name if rung else None
    made["livekit_dispatch_id"] = call.livekit_id(f"AD{len(asked)}")
    for change in _end(rows, call, made, agent_name):
        changes.append((changes[-1][1], *change))
    made |= {"status": changes[-1][1], "reason": changes[-1][3], "ended_at": changes[-1][2], "next_attempt_at": None}
    rows.dispatches.append(made)
    rows.callers.append(
        {
            "dispatch_id": made["id"],
            "participant_sid": event.participant_sid,
            "event_id": event.id,
            "participant_identity": event.participant_identity,
            "left_at": call.left_at + DELAY,
        }
    )
    rows.changes += [
        {
            "entity": "dispatch",
            "entity_id": made["id"],
            "from_state": before,
            "to_state": after,
            "reason": reason,
            "changed_at": at,
            "changed_by": "usher",
        }
        for before, after, at, reason in changes
    ]
    return str(made["id"])


def _asked(call: PastCall, made: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the agents that are asked in turn, each with its rung; all but the last do not join."""
    first = [(made["agent_name"], 0)] * made["max_attempts"]
    if call.fate is not Fate.NO_AGENT and call.seconds_to_agent <= made["answer_timeout_s"]:
        return first[:1]
    ladder = [(one["agent_name"], rung) for rung, one in enumerate(made["fallbacks"] or (), 1)]
    return [*first, *ladder]


def _end(rows: _Rows, call: PastCall, made: dict[str, Any], agent_name: str) -> Iterator[tuple[Any, datetime, str]]:
    """Yield the last states of the dispatch, and write what they leave in its columns."""
    match call.fate:
        case Fate.SERVED:
            agent = call.agent_joins(agent_name)
            rows.events.append(_event_row(agent, EventOutcome.IGNORED, made["rules_version"], {"matched": []}))
            made |= {
                "cause": Cause.AGENT_LEFT,
                "joined_at": agent.received_at,
                "agent_identity": agent.participant_identity,
                "agent_sid": agent.participant_sid,
                "job_id": call.livekit_id("AJ"),
            }
            yield DispatchStatus.JOINED, agent.received_at, "the agent is in the room"
            yield DispatchStatus.ENDED, call.left_at + DELAY, recorded("the agent left")
        case Fate.NO_AGENT:
            made["cause"] = Cause.NO_AGENT
            missed_at = made["dispatched_at"] + timedelta(seconds=made["answer_timeout_s"])
            yield DispatchStatus.NO_SHOW, missed_at, f"{agent_name} did not join: {_MISSED}; no other agent to ask"
        case Fate.ABANDONED:
            made["cause"] = Cause.CALLER_LEFT
            yield (
                DispatchStatus.CANCELLED,
                call.left_at + DELAY,
                f"the caller gave up after {call.seconds_to_agent:.1f} s",
            )


def _attempt_row(
    call: PastCall, dispatch_id: str, number: int, agent_name: str, accepted: datetime, *, missed: bool
) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch_id,
        "number": number,
        "agent_name": agent_name,
        "started_at": accepted - timedelta(seconds=_CALL_S),
        "finished_at": accepted,
        "outcome": AttemptOutcome.NO_SHOW if missed else AttemptOutcome.ACCEPTED,
        "livekit_dispatch_id": call.livekit_id(f"AD{number}"),
        "error_text": _MISSED if missed else None,
    }
