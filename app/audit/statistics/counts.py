"""Counts what became of dispatches, in the database, so that figures survive a restart.

Each query is bounded: it reads the latest `MAX_ROWS` dispatches of a time window by the primary key, or the latest
`MAX_ROWS_OF_ONE` by (agent_name, id) or (rule_name, id), so that it costs the same with ten thousand rows as with ten
million. The result says what it covers (`since`, `is_cut`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, case, cast, func, literal, select

from app.audit.lists.access_path import IndexPath
from app.audit.lists.latest_dispatches import latest_dispatches, names_of_rule, path_of_rule, paths_of_agent
from app.audit.statistics.call_counts import count_calls
from app.audit.statistics.dialects import listed, read_list, seconds_between
from app.audit.statistics.figures import NO_FIGURES, AgentFigures, DispatchStatistics, Figures, RuleFigures, Tally
from app.db.record_ids import instant_of_id
from app.db.tables import dispatches
from app.db.types import Cause, DispatchStatus
from app.outbox.statements import COUNTS_FOR_RULE, IS_BESIDE, WAITS_SINCE
from app.outbox.states import WAITING

MAX_ROWS: Final = 10_000
MAX_ROWS_OF_ONE: Final = 5_000
"""Of one agent or rule: its rows lie scattered over the table, so each costs twice as much as adjacent ones."""


def dispatch_statistics(
    connection: Connection,
    since: datetime,
    as_of: datetime,
    *,
    agent: str | None = None,
    rule: str | None = None,
    rule_id: int | None = None,
    projects: Collection[str] | None = None,
) -> DispatchStatistics:
    """Return the figures of the dispatches created since `since`; `as_of` is the present instant.

    Restricted to one agent, to the name that a rule had, or to one rule whatever name it had, if given. Those of agents
    count who was asked: a dispatch whose fallback came counts as a no-show of each agent before, and as an arrival of
    the fallback. Overall and for its rule it counts once. With `agent`, what it missed between the first and the last
    agent of a ladder is not found. A hand-over is no new call, and counts for its agent alone, unless it left
    the caller without any agent: that is a miss of the rule, too.

    `projects`: only dispatches of these among the latest that are read (None: of all).
    """
    paths: list[IndexPath]
    if agent is not None:
        paths = [*paths_of_agent(agent)]
    else:
        names = [rule] if rule_id is None else names_of_rule(connection, rule_id, since)
        paths = [path_of_rule(name) for name in names]
    if not paths:
        return DispatchStatistics(since, as_of, is_cut=False, overall=NO_FIGURES, agents=(), rules=(), calls=None)
    is_of_all = agent is None and rule is None and rule_id is None
    most = MAX_ROWS if is_of_all else MAX_ROWS_OF_ONE
    rows = connection.execute(sums(connection, paths, since, most, projects)).all()
    overall = Tally()
    by_agent: defaultdict[str, Tally] = defaultdict(Tally)
    by_rule: defaultdict[str, Tally] = defaultdict(Tally)
    for row in rows:
        if not row.is_own or (rule_id is not None and row.rule_id != rule_id):
            continue  # of another project, or another rule that has, or had, the same name
        seconds = read_list(row.seconds)
        for tally in (overall, by_rule[row.rule_name]) if row.counts_for_rule else ():
            tally.add(row.fate, row.dispatches, row.dispatches if row.rung else 0, seconds)
        asked = [row.agent_name, *(fallback["agent_name"] for fallback in _fallbacks(row)[: row.rung])]
        asked[-1] = row.asked_agent_name or asked[-1]  # another, if that one was out of service
        for missing in asked[:-1]:
            by_agent[missing].add("no_shows", row.dispatches, row.dispatches, [])
        by_agent[asked[-1]].add(row.fate, row.dispatches, 0, seconds)
    is_cut = sum(row.dispatches for row in rows) >= most
    reach = instant_of_id(min(row.oldest for row in rows)) if is_cut else None
    return DispatchStatistics(
        since=reach or since,
        as_of=as_of,
        is_cut=is_cut,
        overall=Figures(**(overall if agent is None else by_agent[agent]).figures()),
        agents=tuple(AgentFigures(**one.figures(), agent=name) for name, one in sorted(by_agent.items())),
        rules=tuple(RuleFigures(**one.figures(), rule=name) for name, one in sorted(by_rule.items())),
        calls=count_calls(connection, reach or since, as_of, most, projects) if is_of_all else None,
    )


def fate_of() -> ColumnElement[str]:
    """Return the SQL of what became of a dispatch: the name of its count in `Figures`."""
    column = dispatches.c
    return case(
        (column.joined_at.is_not(None), "arrived"),
        (and_(column.status.in_(sorted(WAITING)), IS_BESIDE), "handing_over"),
        (column.status.in_(sorted(WAITING)), "waiting"),
        (column.status == DispatchStatus.NO_SHOW, "no_shows"),
        (column.status == DispatchStatus.FAILED, "failed"),
        (and_(column.cause == Cause.CALLER_LEFT, ~IS_BESIDE), "abandoned"),
        else_="cancelled",
    )


def seconds_waited(connection: Connection) -> ColumnElement[float]:
    """Return the SQL of how long a caller waited until its agent joined, or until it gave up; NULL for others."""
    column = dispatches.c
    return case(
        (column.joined_at.is_not(None), seconds_between(connection, WAITS_SINCE, column.joined_at)),
        (column.cause == Cause.CALLER_LEFT, seconds_between(connection, WAITS_SINCE, column.ended_at)),
    )


def _fallbacks(row: Any) -> list[dict[str, Any]]:
    return json.loads(row.fallbacks) if row.fallbacks else []


def sums(
    connection: Connection,
    paths: Sequence[IndexPath],
    since: datetime,
    most: int,
    projects: Collection[str] | None = None,
) -> Select[Any]:
    """Return the query that counts the latest `most` dispatches by agent, rule and fate, and whether they are `is_own`.

    A test asserts its plan. The database puts the waits into lists: to fetch them as rows costs ten times as much.
    """
    column = dispatches.c
    columns = (
        column.id,
        column.agent_name,
        column.rule_name,
        column.rule_id,
        fate_of().label("fate"),
        column.rung,
        COUNTS_FOR_RULE.label("counts_for_rule"),
        column.asked_agent_name,
        case((column.rung > 0, cast(column.fallbacks, Text))).label("fallbacks"),
        seconds_waited(connection).label("seconds"),
        # Not a condition: to find as many of a small project as of all, any number of rows would be read.
        (literal(1) if projects is None else case((column.project.in_(projects), 1), else_=0)).label("is_own"),
    )
    rows = latest_dispatches(columns, paths, since, most).c
    group = (
        rows.agent_name,
        rows.rule_name,
        rows.rule_id,
        rows.fate,
        rows.rung,
        rows.counts_for_rule,
        rows.asked_agent_name,
        rows.fallbacks,
        rows.is_own,
    )
    return select(
        *group,
        func.count().label("dispatches"),
        listed(connection, rows.seconds).label("seconds"),
        func.min(rows.id).label("oldest"),
    ).group_by(*group)
