"""Hand-over by an operator or a program: another agent is sent to a call that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.agents.agent_limits import substitute_of
from app.audit import timeline
from app.clock import new_id
from app.db.rule_columns import COLUMN
from app.db.tables import audit_log, dispatches
from app.db.transaction import RaceLostError
from app.db.types import LIVE, DispatchStatus
from app.errors import ConflictError, InvalidInputError, Problem
from app.flows.operations.result import read_all, why_not_served
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.handover import dispatch_beside, is_beside
from app.lifecycle.next_agent import context_bytes, is_context_missing, rendered_after
from app.lifecycle.previous import PreviousCause, previous_with_agent
from app.lifecycle.transition import move, replace
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import waiting_callers
from app.outbox.free_places import Shortage
from app.outbox.move import Move
from app.outbox.queue_store import read_limits, read_places
from app.outbox.statements import ASKED
from app.rules.check import check_value
from app.settings import Settings
from app.translation import translatable


@dataclass(frozen=True, slots=True)
class HandoverOrder:
    """To which agent a call goes. `context` (JSON) reaches that agent as `previous.context`.

    `call`: a reference as of its timeline, or the id of one of its dispatches. `timeout_s`: how long each attempt waits
    for the agent; None: as for the first agent. `request_key`: two orders with the same key are one.
    """

    call: str
    agent_name: str
    context: Any = None
    reason: str = ""
    timeout_s: int | None = None
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """A hand-over that is under way or decided: both dispatches as they are now."""

    first: Dispatch
    following: Dispatch
    detail: str
    """What was last noted of it: in the end how the next agent came, or why it did not."""

    @property
    def state(self) -> str:
        """`under_way`, `done` (the next agent joined), or `failed` (the first one keeps the call, if it is there)."""
        if self.following.is_return:
            return "failed"
        if self.following.joined_at is not None:
            return "done"
        return "under_way" if self.following.status in LIVE else "failed"


def find_handover(connection: Connection, order: HandoverOrder) -> Handover | str:
    """Return the hand-over that `order` has made before, or else the id of the dispatch that has its call now.

    Raises `NotFoundError` for an unknown call, and `ConflictError` if no dispatch has the call, or several have.
    """
    return _made_before(connection, order) or _dispatch_of(connection, order.call)


def hand_over(
    connection: Connection,
    after: AfterCommit,
    settings: Settings,
    order: HandoverOrder,
    dispatch_id: str,
    *,
    by: str,
    now: datetime,
) -> Handover:
    """Create the dispatch of the next agent beside that of the first; see `Operations.hand_over`."""
    problems = [problem for name, value in _checked(order) for problem in check_value(COLUMN[name], value)]
    if problems:
        raise InvalidInputError("body", problems)
    if order.context is not None and context_bytes({"context": order.context}) > settings.metadata_max_bytes:
        raise InvalidInputError("body", [_too_long({"context": order.context}, settings.metadata_max_bytes)])
    first = read_all(connection, [dispatch_id])[dispatch_id]
    # The same request may have come first while this one waited for the lock.
    made = _made_before(connection, order)
    if made is not None:
        return made
    if first.status not in LIVE:
        raise ConflictError(_why_not_live(connection, first, order.call))
    not_served = why_not_served(first.project, settings)
    if not_served is not None:
        raise ConflictError(not_served)
    under_way = first.id if is_beside(first) else first.handed_to
    if under_way is not None:
        raise ConflictError(
            translatable("the call is being handed over already, by dispatch %(under_way)s", under_way=under_way)
        )
    if waiting_callers(connection, [first.id]).get(first.id) == set():
        raise ConflictError(translatable("the caller has left"))
    _require_agent_that_can_take_it(connection, first, order, now)
    reason = f"handed over by {by}" + (f": {order.reason}" if order.reason else "")
    following = dispatch_beside(first, order.agent_name, new_id(), reason[:2000], now)._replace(
        request_key=order.request_key,
        answer_timeout_s=order.timeout_s or first.answer_timeout_s,
        queue_timeout_s=order.timeout_s or first.answer_timeout_s,
    )
    previous = previous_with_agent(first, PreviousCause.HANDOVER, order.context, None)
    rendered = rendered_after(connection, settings, following, previous)
    if is_context_missing(connection, settings, following, previous, rendered):
        raise InvalidInputError("body", [_too_long(previous, settings.metadata_max_bytes)])
    following = following._replace(**rendered)
    if not replace(connection, after, [following], now, by=by):
        raise RaceLostError
    noted = {"handed_to": following.id}
    change = Move(first, first.status, first.cause, f"being handed over to {order.agent_name}", by, noted)
    move(connection, after, [change], now)
    return Handover(change.result, following, following.reason or "")


def _why_not_live(connection: Connection, first: Dispatch, call: str) -> str:
    """Return why a dispatch cannot be handed over that has ended: an older one of a call that goes on, perhaps."""
    column = dispatches.c
    query = select(column.id, ASKED).where(column.event_id == first.event_id, column.status.in_(sorted(LIVE)))
    goes_on = [f"{dispatch_id} ({agent})" for dispatch_id, agent in connection.execute(query.order_by(column.id))]
    why = first.reason or str(first.status)
    if call != first.id or not goes_on:
        return translatable("the call is not live any more: %(why)s", why=why)
    following = ", ".join(goes_on)
    return translatable(
        "dispatch %(id)s is over: %(why)s; its call goes on with dispatch %(following)s: give that, or the call",
        id=first.id,
        why=why,
        following=following,
    )


def _too_long(previous: Mapping[str, Any], most: int) -> Problem:
    size = context_bytes(previous)
    message = translatable(
        "is %(size)s bytes long as JSON; all metadata may have %(most)s bytes (USHER_METADATA_MAX_BYTES)",
        size=size,
        most=most,
    )
    return Problem("context", message)


def _require_agent_that_can_take_it(
    connection: Connection, first: Dispatch, order: HandoverOrder, now: datetime
) -> None:
    """Raise ConflictError if the next agent, or the substitute that is asked in its place, has no place for the call.

    Likewise if that substitute is the agent that has the call already. The one who hands it over can choose another at
    once, while the first agent still has the caller.
    """
    limits = read_limits(connection)
    asked = substitute_of(order.agent_name, limits.agents, now) or order.agent_name
    if asked != order.agent_name and asked == first.agent_to_ask:
        raise ConflictError(
            translatable(
                "%(agent_name)s is out of service, and its substitute %(substitute)s has the call",
                agent_name=order.agent_name,
                substitute=asked,
            )
        )
    if asked not in limits.agents:
        return
    places = read_places(connection, limits, (), now)
    shortage = places.shortage_of_agent(first.project, asked)
    if shortage in {Shortage.OUT_OF_SERVICE, Shortage.AGENT_FULL}:
        raise ConflictError(places.describe_agent(first.project, asked, shortage))


def read_handover(connection: Connection, dispatch_id: str) -> Handover:
    """Return the hand-over whose next agent comes by this dispatch."""
    following = _read(connection, dispatch_id)
    detail = following.reason or ""
    if following.is_return and following.status in LIVE:
        detail = _why_asked_again(connection, following.id) or detail
    return Handover(_read(connection, following.replaces or ""), following, detail)


def _why_asked_again(connection: Connection, dispatch_id: str) -> str | None:
    """Return why the first agent of a hand-over is asked again, or the latest trouble with that."""
    column = audit_log.c
    query = select(column.reason).where(column.entity_id == dispatch_id, column.to_state == DispatchStatus.PENDING)
    return connection.scalar(query.order_by(column.id.desc()).limit(1))


def _read(connection: Connection, dispatch_id: str) -> Dispatch:
    row = connection.execute(select(dispatches).where(dispatches.c.id == dispatch_id)).mappings().one()
    return Dispatch.from_row(row)


def _checked(order: HandoverOrder) -> list[tuple[str, Any]]:
    timeout = [] if order.timeout_s is None else [("answer_timeout_s", order.timeout_s)]
    return [("agent_name", order.agent_name), *timeout]


def _made_before(connection: Connection, order: HandoverOrder) -> Handover | None:
    if order.request_key is None:
        return None
    found = connection.scalar(select(dispatches.c.id).where(dispatches.c.request_key == order.request_key))
    if found is None:
        return None
    known = read_handover(connection, found)
    if not _is_same(known, order):
        raise ConflictError(
            translatable(
                "the Idempotency-Key was used for another hand-over, to %(agent_name)s by dispatch %(found)s",
                agent_name=known.following.agent_name,
                found=found,
            )
        )
    return known


def _is_same(known: Handover, order: HandoverOrder) -> bool:
    """Return whether an order of the same call asks for the hand-over that was made under its key."""
    following, previous = known.following, known.following.previous or {}
    asked_s = order.timeout_s or known.first.answer_timeout_s
    if following.agent_name != order.agent_name or following.answer_timeout_s != asked_s:
        return False
    # Another cause: another agent has failed meanwhile, and the context was passed on no further.
    return previous.get("cause") != PreviousCause.HANDOVER or previous.get("context") == order.context


def _dispatch_of(connection: Connection, call: str) -> str:
    """Return the id of the dispatch that has a call, or is to get it; raises ConflictError if none or several have."""
    records = [record.dispatch for record in timeline(connection, call).dispatches]
    if any(one.id == call for one in records):
        return call
    live = [one for one in records if one.status in LIVE]
    following = {one.handed_to for one in live}
    live = [one for one in live if one.id not in following]
    if not live:
        raise ConflictError(translatable("nobody has this call: no agent is there or on its way"))
    if len(live) > 1:
        ids = ", ".join(f"{one.id} ({one.agent_to_ask})" for one in live)
        raise ConflictError(
            translatable("the call has several agents; give the dispatch instead of the call: %(ids)s", ids=ids)
        )
    return str(live[0].id)
