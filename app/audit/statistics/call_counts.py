"""Counts calls by what came of their dispatches, exactly as lists of calls find them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, not_, select

from app.audit.lists.access_path import ByPrimaryKey, IdRange
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches
from app.db.types import Cause, DispatchStatus
from app.json_shape import JsonShape
from app.outbox.statements import IS_BESIDE, IS_HANDOVER, RETURNS
from app.outbox.states import WAITING


@dataclass(frozen=True, slots=True)
class CallCounts(JsonShape):
    """Calls with dispatches; a call counts for everything that came of them."""

    calls: int
    waiting: Annotated[int, Field(description="an agent is awaited now")]
    decided: Annotated[int, Field(description="an agent joined, or none did, or the caller left first")]
    joined: int
    no_agent: Annotated[int, Field(description="a dispatch ended without an agent; a redrive takes none away")]
    abandoned: Annotated[int, Field(description="the caller left before an agent joined")]
    fallback: Annotated[int, Field(description="a fallback was asked, since the rule's agent did not join")]
    handed_over: Annotated[int, Field(description="the call went on with an agent that had not had it")]

    @property
    def joined_share(self) -> float | None:
        return self.joined / self.decided if self.decided else None


def count_calls(
    connection: Connection, since: datetime, until: datetime, most: int, projects: Collection[str] | None = None
) -> CallCounts:
    """Return the counts of the latest `most` dispatches created from `since` until `until`, by their calls.

    `projects`: only calls of these among them (None: of all).
    """
    row = connection.execute(calls_query(since, until, most, projects)).one()
    return CallCounts(*(int(value or 0) for value in row))


def calls_query(
    since: datetime, until: datetime, most: int, projects: Collection[str] | None = None
) -> Select[*tuple[Any, ...]]:
    """Return the query that counts calls; a test asserts its plan."""
    column = dispatches.c
    is_over = column.status.not_in(sorted(WAITING))
    came = column.joined_at.is_not(None)
    missed = and_(
        column.joined_at.is_(None), column.status.in_([DispatchStatus.NO_SHOW, DispatchStatus.FAILED]), ~IS_BESIDE
    )
    left = and_(
        column.joined_at.is_(None),
        is_over,
        column.status.not_in([DispatchStatus.NO_SHOW, DispatchStatus.FAILED]),
        column.cause == Cause.CALLER_LEFT,
        ~IS_BESIDE,
    )
    flags: dict[str, ColumnElement[bool]] = {
        "waiting": and_(~is_over, ~IS_BESIDE),
        "joined": came,
        "no_agent": missed,
        "abandoned": left,
        "fallback": and_(column.rung > 0, ~IS_HANDOVER),
        "handed_over": and_(IS_HANDOVER, came, not_(RETURNS)),
    }
    path = ByPrimaryKey(column.id)
    latest = (
        select(column.event_id, column.project, *(case((flag, 1), else_=0).label(name) for name, flag in flags.items()))
        .where(*path.conditions(IdRange(lowest_id_at(until), lowest_id_at(since))))
        .order_by(*path.order())
        .limit(most)
        .subquery()
    )
    by_call = select(*(func.max(latest.c[name]).label(name) for name in flags)).group_by(latest.c.event_id)
    if projects is not None:  # after the limit: to find as many of a small project, any number of rows would be read
        by_call = by_call.where(latest.c.project.in_(projects))
    per_call = by_call.subquery()
    each = per_call.c
    decided = case((each.joined + each.no_agent + each.abandoned > 0, 1), else_=0)
    return select(
        func.count(),
        func.sum(each.waiting),
        func.sum(decided),
        *(func.sum(each[name]) for name in ("joined", "no_agent", "abandoned", "fallback", "handed_over")),
    ).select_from(per_call)
