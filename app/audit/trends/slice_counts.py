"""What became of the dispatches of each slice of time: one statement, built once for each kind of question.

SQLAlchemy takes as long to build this statement and to look it up as SQLite takes to run it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Label,
    Text,
    and_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array

from app.audit.lists.access_path import ByIndexedValue, ByPrimaryKey
from app.audit.lists.latest_dispatches import paths_of_agent
from app.audit.statistics.dialects import listed, read_list, seconds_between
from app.audit.trends.time_slices import Path, Slice, TimeGrid, sums_of_slices, values_of
from app.db.any_of import any_of, one_of_texts
from app.db.columns.column_types import Timestamp
from app.db.hot_statement import HotStatement
from app.db.tables import dispatch_attempts, dispatches
from app.db.types import Cause, DispatchStatus
from app.outbox.statements import COUNTS_FOR_RULE, IS_BESIDE, WAITS_SINCE
from app.outbox.states import WAITING

_QUEUED_OVER_S: Final = 1.0
"""Seconds until LiveKit has a dispatch; a longer time is looked into, since the caller may have been in a queue."""
SETTLED: Final = ("waiting", "arrived", "no_shows", "abandoned")
"""What a dispatch is counted as; all others were cancelled."""
COUNTED: Final = ("calls", "dispatches", *SETTLED, "fallbacks")


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """Counts by the names in `COUNTED`, and how many seconds callers waited.

    `queued`: of callers in a queue, when it began, in seconds since `TimeGrid.since`, and how long it took.
    """

    counts: Mapping[str, int]
    seconds: Sequence[float]
    queued: Sequence[tuple[float, float]]


def paths_of(agent: str | None, rule: str | None) -> list[Path]:
    """Return the access paths to the dispatches of an agent or of a rule; to all if neither is given."""
    if agent is not None:
        return [*paths_of_agent(agent)]
    column = dispatches.c
    return [ByPrimaryKey(column.id) if rule is None else ByIndexedValue(column.rule_name, rule, column.id)]


def count_slices(
    connection: Connection,
    grid: TimeGrid,
    slices: Sequence[Slice],
    *,
    agent: str | None,
    rule: str | None,
    projects: Collection[str] | None,
) -> Iterator[tuple[int, SliceCounts]]:
    """Yield the number of each slice and what became of its dispatches.

    With `agent`, a dispatch whose fallback was asked next counts as a no-show of the agent; one that it was not asked
    for, as it was out of service, does not count. Without, a hand-over does not count: it is no new call,
    unless it left the caller without any agent.
    """
    key = (connection.dialect.name, agent is not None, rule is not None, projects is not None)
    statement = _STATEMENTS.get(key)
    if statement is None:
        statement = _STATEMENTS[key] = _counts(connection, *key[1:])
    values = {
        "now": grid.until,
        "since": grid.since,
        "agent": agent,
        "rule": rule,
        "projects": projects,
        **values_of(connection, slices, paths_of(agent, rule)),
    }
    for number, *row in statement.rows(connection, values):
        *counts, seconds, queued = row if len(row) > 1 else json.loads(row[0])
        waits = [(begin, max(0.0, waited)) for begin, waited in queued or ()]
        yield number, SliceCounts(dict(zip(COUNTED, counts, strict=True)), read_list(seconds), waits)


_STATEMENTS: Final[dict[tuple[str, bool, bool, bool], HotStatement]] = {}
"""By the database, and whether agent, rule and projects are given."""


def _counts(connection: Connection, of_agent: bool, of_rule: bool, of_projects: bool) -> HotStatement:
    column = dispatches.c
    now, since = (bindparam(name, type_=Timestamp()) for name in ("now", "since"))
    is_asked, is_missed = _asked_and_missed() if of_agent else (true(), false())
    waits = and_(is_asked, one_of_texts(column.status, WAITING))
    came = and_(is_asked, column.joined_at.is_not(None))
    missed = and_(
        column.joined_at.is_(None),
        one_of_texts(column.status, [DispatchStatus.NO_SHOW, DispatchStatus.FAILED]),
        is_asked,
    )
    has_left = one_of_texts(column.cause, [Cause.CALLER_LEFT])
    left = and_(is_asked, column.joined_at.is_(None), has_left, ~waits, ~missed, ~IS_BESIDE)
    flags: dict[str, ColumnElement[bool]] = {
        "waiting": and_(waits, column.joined_at.is_(None)),
        "arrived": came,
        "no_shows": or_(missed, is_missed),
        "abandoned": left,
        "fallbacks": and_(column.rung > 0, or_(is_asked, is_missed)),
    }
    begun = func.coalesce(column.dispatched_at, column.ended_at, now)
    first_call = (
        select(dispatch_attempts.c.started_at)
        .where(dispatch_attempts.c.dispatch_id == column.id, dispatch_attempts.c.number >= 1)
        .order_by(dispatch_attempts.c.number)
        .limit(1)
        .correlate(dispatches)
        .scalar_subquery()
    )
    in_queue = seconds_between(connection, column.created_at, func.coalesce(first_call, column.ended_at, now))
    columns = (
        *(case((flag, 1), else_=0).label(name) for name, flag in flags.items()),
        case((column.replaces.is_(None), column.event_id)).label("call"),
        case((came, seconds_between(connection, WAITS_SINCE, column.joined_at))).label("seconds"),
        case((seconds_between(connection, column.created_at, begun) > _QUEUED_OVER_S, in_queue)).label("queued"),
        seconds_between(connection, since, column.created_at).label("queued_from"),
    )
    where = and_(
        or_(is_asked, is_missed),
        column.rule_name == bindparam("rule", type_=Text()) if of_rule else true(),
        true() if of_agent else COUNTS_FOR_RULE,
        any_of(column.project, "projects") if of_projects else true(),
    )

    pair = func.json_array if connection.dialect.name == "sqlite" else _array

    def sums(rows: FromClause) -> list[Label[Any]]:
        row, was_queued = rows.c, rows.c.queued > _QUEUED_OVER_S
        return [
            func.count(row.call.distinct()).label("calls"),
            func.count().label("dispatches"),
            *(func.coalesce(func.sum(row[name]), 0).label(name) for name in flags),
            listed(connection, row.seconds).label("seconds"),
            listed(connection, pair(row.queued_from, row.queued), was_queued).label("queued"),
        ]

    paths = paths_of("" if of_agent else None, "" if of_rule else None)
    return HotStatement(sums_of_slices(connection, paths, columns, where, sums))


def _array(*columns: ColumnElement[Any]) -> ColumnElement[Any]:
    return array(columns)


def _asked_and_missed() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that the agent is the last that was asked, and that it was asked before."""
    column, agent = dispatches.c, bindparam("agent", type_=Text())
    asked = func.coalesce(column.asked_agent_name, column.agent_name)
    return asked == agent, and_(column.agent_name == agent, column.rung > 0, asked != agent)
