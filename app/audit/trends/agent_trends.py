"""How often each agent was asked and did not join, over time: for the small pictures in a list of agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, literal, select

from app.audit.lists.access_path import ByPrimaryKey
from app.audit.trends.time_slices import grid_of, rows_of_slices, slices_of, values_of
from app.db.tables import dispatches
from app.db.types import DispatchStatus

_POINTS: Final = 24


@dataclass(frozen=True, slots=True)
class AgentTrend:
    """How often an agent was asked in each interval, and how often it did not join, oldest interval first."""

    asked: tuple[int, ...]
    missed: tuple[int, ...]


def agent_trends(
    connection: Connection, hours: float, now: datetime, projects: Collection[str] | None = None
) -> Mapping[str, AgentTrend]:
    """Return the trend of each agent that was asked within the last `hours`, by its name.

    Of a ladder, the first agent and the one that was asked last are counted. As `over_time`, it reads a bounded number
    of rows, and estimates if there are more.
    """
    column = dispatches.c
    asked = func.coalesce(column.asked_agent_name, column.agent_name)
    missed = and_(column.joined_at.is_(None), column.status.in_([DispatchStatus.NO_SHOW, DispatchStatus.FAILED]))
    columns = (
        column.agent_name,
        asked.label("asked"),
        case((missed, 1), else_=0).label("missed"),
        case((and_(column.rung > 0, asked != column.agent_name), 1), else_=0).label("first_missed"),
        (literal(1) if projects is None else case((column.project.in_(projects), 1), else_=0)).label("is_own"),
    )
    grid = grid_of(hours, now, most=_POINTS)
    paths = [ByPrimaryKey(column.id)]
    slices, _ = slices_of(connection, grid, paths)
    rows = rows_of_slices(connection, paths, columns).c
    group = (rows.slice, rows.agent_name, rows.asked, rows.missed, rows.first_missed)
    query = select(*group, func.count().label("dispatches")).where(rows.is_own == 1).group_by(*group)
    sums: dict[str, tuple[list[float], list[float]]] = {}
    for row in connection.execute(query, values_of(connection, slices, paths)):
        place, count = slices[row.slice].point, row.dispatches * slices[row.slice].weight
        _add(sums, row.asked, len(grid.starts), place, count, is_missed=row.missed)
        if row.first_missed:
            _add(sums, row.agent_name, len(grid.starts), place, count, is_missed=True)
    return {
        name: AgentTrend(tuple(map(round, asked)), tuple(map(round, missed))) for name, (asked, missed) in sums.items()
    }


def _add(sums: dict[str, Any], name: str, length: int, place: int, count: float, *, is_missed: bool) -> None:
    asked, missed = sums.setdefault(name, ([0.0] * length, [0.0] * length))
    asked[place] += count
    missed[place] += count if is_missed else 0
