"""Redrive: asks again for the agents of dispatches that ended without one, by new dispatches that replace the old.

The old ones keep their verdict: a call that was lost stays lost in every figure.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.clock import new_id
from app.flows.operations.result import OperationResult, read_all, why_not_served
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.handover import is_beside
from app.lifecycle.previous import PreviousCause, previous_without_agent
from app.lifecycle.transition import replace
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import asked_for, redrive_of
from app.outbox.dispatch_store import inherit_callers, live_by_intent, waiting_callers
from app.outbox.room_session import closed_sessions, redriven_as, same_intents
from app.outbox.states import REDRIVABLE
from app.plan.build import build_intent
from app.rules.book.rule_book import RuleBook
from app.settings import Settings
from app.translation import translatable
from app.webhook.event_store import stored_event
from app.webhook.name_digest import is_replaced


def redrive(
    connection: Connection,
    after: AfterCommit,
    ids: Collection[str],
    *,
    by: str,
    book: RuleBook,
    settings: Settings,
    now: datetime,
    dry_run: bool = False,
) -> OperationResult:
    """Ask again for what ended dispatches asked for, with what their rules say now; raises `NotFoundError`.

    Of several for the same callers the latest is tried, for all of them. Refused: what is not `failed`, `no_show` or
    `cancelled`, what was redriven before, whose room has closed or callers have left, what another live dispatch serves
    already, what the rule's template still cannot make, and what is of a project that is not configured. With `dry_run`
    the same is decided and returned, without new dispatches, and nothing is written.
    """
    current = read_all(connection, ids)
    result = OperationResult(refused=redrive_refusals(connection, current.values(), settings))
    again: list[tuple[Dispatch, dict[str, Any]]] = []
    for dispatch in sorted(current.values(), key=lambda one: one.id, reverse=True):
        if dispatch.id in result.refused:
            continue
        wanted = _asked_for_now(connection, dispatch, book, settings.metadata_max_bytes)
        if isinstance(wanted, str):
            result.refused[dispatch.id] = wanted
        else:
            again.append((dispatch, wanted))
    made, successors = _choose(connection, again, result, now)
    if dry_run:
        result.made.clear()
        for dispatch_id, serving in successors.items():
            before = next((new.replaces for new in made if new.id == serving), None)
            if before is not None:
                result.refused[dispatch_id] = translatable(
                    "dispatch %(before)s of the same caller is redriven in its place", before=before
                )
    else:
        replace(connection, after, made, now, by=by)
        inherit_callers(connection, successors | same_intents(connection, made))
    return result


def redrive_refusals(connection: Connection, made: Collection[Dispatch], settings: Settings) -> dict[str, str]:
    """Return by id why dispatches cannot be redriven; what only rendering can show is not checked."""
    ids = [one.id for one in made]
    callers = waiting_callers(connection, ids)
    closed = closed_sessions(connection, {one.session for one in made})
    before = redriven_as(connection, ids)
    refused = {}
    for dispatch in made:
        not_served = why_not_served(dispatch.project, settings)
        if dispatch.status not in REDRIVABLE:
            refused[dispatch.id] = translatable(
                "is %(status)s; only failed, no_show and cancelled can be redriven", status=dispatch.status
            )
        elif dispatch.id in before:
            refused[dispatch.id] = translatable("was redriven as dispatch %(before)s", before=before[dispatch.id])
        elif is_beside(dispatch):
            refused[dispatch.id] = translatable("was a hand-over that failed; hand the call over again")
        elif not_served is not None:
            refused[dispatch.id] = not_served
        elif dispatch.session in closed:
            refused[dispatch.id] = translatable("its room has closed")
        elif callers.get(dispatch.id) == set():
            refused[dispatch.id] = translatable("its callers have left")
        elif is_replaced(dispatch.room_name, dispatch.participant_identity):
            refused[dispatch.id] = translatable(
                "its names were erased or hashed, so LiveKit cannot be asked for its room"
            )
    return refused


def _choose(
    connection: Connection, again: list[tuple[Dispatch, dict[str, Any]]], result: OperationResult, now: datetime
) -> tuple[list[Dispatch], dict[str, str]]:
    """Return the new dispatches, and by id of an old one that gets none the dispatch that has its caller."""
    taken = {key: one.id for key, one in live_by_intent(connection, {one["intent_key"] for _, one in again}).items()}
    successors: dict[str, str] = {}
    made: list[Dispatch] = []
    for dispatch, wanted in again:
        new = redrive_of(dispatch, new_id(), now)._replace(**wanted)
        serving = taken.setdefault(new.intent_key, new.id)
        if serving == new.id:
            made.append(new)
            result.done.append(dispatch.id)
            result.made[dispatch.id] = new.id
        else:
            result.refused[dispatch.id] = translatable(
                "dispatch %(serving)s serves the same caller already", serving=serving
            )
            successors[dispatch.id] = serving
    return made, successors


def _asked_for_now(
    connection: Connection, dispatch: Dispatch, book: RuleBook, metadata_max_bytes: int
) -> dict[str, Any] | str:
    """Return the columns that the dispatch's rule fills now, or why it cannot; those of then if the rule is gone."""
    previous = previous_without_agent(dispatch, PreviousCause.REDRIVE)
    rule = book.rule(dispatch.rule_id)
    if rule is None:
        return {"intent_key": dispatch.intent_key, "previous": previous}
    intent = build_intent(rule, stored_event(connection, dispatch.event_id), metadata_max_bytes, previous=previous)
    if intent.failure is not None:
        return intent.failure
    return {**asked_for(intent, book.version), "previous": previous}
