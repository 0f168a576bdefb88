"""Turns the removals and transfers that rules want into rows of `caller_actions`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.clock import new_id
from app.db.columns.action_types import CallerActionCause
from app.db.types import EventOutcome
from app.flows.accept.enqueue import DecidedEvent
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.callers.action_transition import create_actions
from app.outbox.caller_action import CallerAction, new_action
from app.plan.build import PlannedAction
from app.webhook.event import Event


def plan_actions(connection: Connection, after: AfterCommit, decided: Sequence[DecidedEvent], now: datetime) -> None:
    """Insert the actions that the events ask for, and note their ids; what was asked for before is not made again."""
    new = [
        (one, _action(one.event, planned, one.plan.rules_version, now))
        for one in decided
        for planned in one.plan.actions
        if one.event.shows_participant
    ]
    if not new:
        return
    created = create_actions(connection, after, [action for _, action in new], now)
    for one, action in new:
        if action.id in created:
            one.actions.append(action.id)
    for one, _ in new:
        if not one.plan.intents and not one.actions:
            one.outcome = EventOutcome.SERVED


def _action(event: Event, planned: PlannedAction, rules_version: int, now: datetime) -> CallerAction:
    rule = planned.rule
    return new_action(
        new_id(),
        now,
        kind=planned.kind,
        transfer_to=rule.transfer_to,
        cause=CallerActionCause.RULE_MATCHED,
        reason=f"rule {rule.name!r} matched",
        participant_kind=event.participant_kind,
        event_id=event.id,
        dispatch_id=None,
        rule_id=rule.id,
        rule_name=rule.name,
        rules_version=rules_version,
        project=event.project,
        room_name=event.room_name,
        room_sid=event.room_sid,
        participant_identity=event.participant_identity,
        participant_sid=event.participant_sid,
    )
