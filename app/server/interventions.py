"""Redrive, cancel, replay through a door: the writing, and what follows after the commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.db.audit_log import AuditEntry, append
from app.flows.operations import Intervention, cancel, redrive, replayed_event
from app.lifecycle.transition import count
from app.server.request_context import RequestContext


async def redrive_dispatches(context: RequestContext, ids: Sequence[str], by: str) -> Intervention:
    """Try dispatches again from the beginning; they are on their way when this returns."""
    now, most = context.now, context.flow_context.settings.metadata_max_bytes
    done = await context.write(
        lambda connection: redrive(
            connection, ids, by=by, book=context.book(connection), metadata_max_bytes=most, now=now
        )
    )
    _follow_up(context, done)
    return done


async def cancel_dispatches(context: RequestContext, ids: Sequence[str], by: str) -> Intervention:
    """Give dispatches up and take them back from LiveKit."""
    now = context.now
    done = await context.write(lambda connection: cancel(connection, ids, by=by, now=now))
    _follow_up(context, done)
    return done


async def replay_event(context: RequestContext, event_id: str, by: str) -> dict[str, Any]:
    """Accept a stored event once more, under the rules of now; return what became of it."""
    now, redact = context.now, context.flow_context.settings.redact
    event = await context.read(lambda connection: replayed_event(connection, event_id, now, redact))
    acceptance = await context.orchestrator.receive(event)
    context.orchestrator.wake()
    entry = AuditEntry("event", event_id, None, "replayed", f"as event {event.id}", now, by)
    await context.write(lambda connection: append(connection, [entry]))
    outcome = None if acceptance.outcome is None else str(acceptance.outcome)
    return {"event_id": event.id, "status": acceptance.status, "outcome": outcome}


def _follow_up(context: RequestContext, done: Intervention) -> None:
    count(context.flow_context.metrics, done.moves)
    context.orchestrator.withdrawer.submit(done.withdrawals)
    if done.moves:
        context.orchestrator.wake()
