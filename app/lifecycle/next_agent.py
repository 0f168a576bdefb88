"""Carries out what follows when an agent has left: the attempt's end, the next attempt, or a replacement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.clock import new_id
from app.db.types import DispatchStatus
from app.errors import NotFoundError
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.departure import Departure
from app.lifecycle.handover import handed_over_by_itself, is_handed_over, left_during_handover
from app.lifecycle.leaving import (
    AgentGone,
    after_agent_gone,
    agent_gone,
    deletion_of,
    early_leaving,
    remaining_of,
)
from app.lifecycle.previous import PreviousCause, previous_with_agent
from app.livekit.vocabulary import ROOM_OVER
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import replacement_of
from app.outbox.dispatch_store import mark_left_early
from app.outbox.move import Move
from app.outbox.people import People
from app.plan.build import build_intent
from app.rules.book.read_book import rule_at
from app.rules.templates.default_document import json_text, leaves_out_context
from app.settings import Settings
from app.webhook.event_store import stored_event

_log = get_logger(__name__)


def agent_left(
    connection: Connection,
    after: AfterCommit,
    settings: Settings,
    dispatch: Dispatch,
    departure: Departure,
    *,
    people: People,
    now: datetime,
    present: Collection[str] | None = None,
) -> tuple[Move, Dispatch | None]:
    """Return the move of a joined dispatch whose agent has left, and the dispatch that replaces it, if any.

    `present`: the SIDs that LiveKit lists, if it was asked.
    """
    remaining = remaining_of(dispatch, people, now, present=present)
    leaves_callers = (remaining.served or remaining.late) and departure.disconnect_reason not in ROOM_OVER
    # A withdrawal that took the agent out has deleted the dispatch already.
    if departure.disconnect_reason not in ROOM_OVER and (leaves_callers or not dispatch.withdraw):
        after.withdraw(deletion_of(dispatch))
    if dispatch.handed_to is not None and leaves_callers:
        return left_during_handover(dispatch, departure, now), None
    if leaves_callers and is_handed_over(dispatch, departure, budget=settings.recovery_budget):
        end, following = handed_over_by_itself(dispatch, departure, new_id(), now, budget=settings.recovery_budget)
        previous = previous_with_agent(dispatch, PreviousCause.HANDOVER, departure.context, now)
        rendered = rendered_after(connection, settings, following, previous)
        reason = following.reason + _about_context(connection, settings, following, previous, rendered)
        return end, following._replace(**rendered, reason=reason)
    decision = agent_gone(dispatch, departure, remaining, budget=settings.recovery_budget)
    change = after_agent_gone(dispatch, departure, decision, now)
    lost = previous_with_agent(dispatch, PreviousCause.LOST, departure.context, now)
    if decision is AgentGone.NEXT_ATTEMPT:
        mark_left_early(connection, dispatch, left_at=now, detail=early_leaving(dispatch, departure))
        return after_previous(connection, settings, change, lost), None
    if not decision.is_replaced:
        return change, None
    fields = rendered_after(connection, settings, dispatch, lost)
    return change, replacement_of(dispatch, new_id(), now)._replace(**fields)


def _about_context(
    connection: Connection,
    settings: Settings,
    dispatch: Dispatch,
    previous: Mapping[str, Any],
    rendered: Mapping[str, Any],
) -> str:
    if not is_context_missing(connection, settings, dispatch, previous, rendered):
        return ""
    most = settings.metadata_max_bytes
    return f"; its context is not in the metadata, which may have {most} bytes: it is {context_bytes(previous)} long"


def context_bytes(previous: Mapping[str, Any]) -> int:
    """Return how long the context that an agent left is as JSON."""
    return len(json_text(previous.get("context")).encode())


def is_context_missing(
    connection: Connection,
    settings: Settings,
    dispatch: Dispatch,
    previous: Mapping[str, Any],
    rendered: Mapping[str, Any],
) -> bool:
    """Return whether the context is missing in what `rendered_after` made of it, since it is too long.

    The default document leaves it out; a template that cannot be rendered with it gives nothing.
    """
    if previous.get("context") is None:
        return False
    if "metadata" in rendered:
        return leaves_out_context(rendered["metadata"])
    return "metadata" in rendered_after(connection, settings, dispatch, {**previous, "context": None})


def after_previous(
    connection: Connection, settings: Settings, change: Move, previous: Mapping[str, Any] | None
) -> Move:
    """Return the move to a next attempt with metadata and attributes that name the agent before."""
    if change.status is not DispatchStatus.PENDING:
        return change
    rendered = rendered_after(connection, settings, change.result, previous)
    return replace(change, fields={**change.fields, **rendered})


def rendered_after(
    connection: Connection, settings: Settings, dispatch: Dispatch, previous: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the columns of a dispatch whose agent comes after another.

    They are rendered from the stored event, with the rule as it was when it matched or the fallback's own template.
    Where that fails, as for a template that cannot do with `previous`, the agent gets what the one before it got.
    """
    fields: dict[str, Any] = {"previous": previous}
    rule = rule_at(connection, dispatch.rule_id, dispatch.rules_version)
    try:
        event = stored_event(connection, dispatch.event_id)
    except NotFoundError:
        event = None
    if rule is None or event is None:
        return fields
    template = rule.fallback_agents[dispatch.rule_rung - 1].metadata_text if dispatch.rule_rung else None
    intent = build_intent(rule, event, settings.metadata_max_bytes, previous=previous, template=template)
    if intent.failure is not None:
        _log.warning("metadata could not be made anew", dispatch_id=dispatch.id, error=intent.failure)
        return fields
    return {**fields, "metadata": intent.metadata, "attributes": dict(intent.attributes)}
