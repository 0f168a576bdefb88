"""A rollout beside the rest: what became of callers in a rule's share, and of those whom another rule took instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, Text, cast, select

from app.audit.lists.access_path import ByPrimaryKey
from app.audit.lists.latest_dispatches import latest_dispatches
from app.audit.statistics.counts import dispatch_statistics, fate_of, seconds_waited
from app.audit.statistics.figures import Figures, RuleFigures, Tally
from app.db.record_ids import instant_of_id, lowest_id_at
from app.db.tables import dispatches, events
from app.json_shape import Instant, JsonShape
from app.outbox.statements import IS_HANDOVER

MAX_READ: Final = 5_000
"""Dispatches of all rules that are looked through, the latest."""
_MAX_OUTSIDE: Final = 2_000
"""Of those, how many decisions are read."""
_OUTSIDE: Final = "outside_rollout"


@dataclass(frozen=True, slots=True)
class Rollout(JsonShape):
    """Figures of both sides since the same instant."""

    since: Annotated[Instant, Field(description="if `is_cut`, when the first of the compared dispatches was created")]
    as_of: Instant
    is_cut: Annotated[bool, Field(description="whether only the latest dispatches are compared")]
    inside: Annotated[Figures, Field(description="of the rule: callers in its share")]
    outside: Annotated[Figures, Field(description="of callers outside its share, by whichever rule took them")]
    outside_by_rule: Annotated[tuple[RuleFigures, ...], Field(description="the same by the rule that took them")]


def compare_rollout(connection: Connection, rule_id: int, since: datetime, as_of: datetime) -> Rollout:
    """Return what became of the callers to whom the rule applied since `since`, in its share and outside it.

    A caller was outside if its event's decision says so: those that the rule would not have matched are no part of it.
    """
    column = dispatches.c
    columns = (
        column.id,
        column.event_id,
        column.rule_id,
        column.rule_name,
        column.rung,
        IS_HANDOVER.label("is_handover"),
        fate_of().label("fate"),
        seconds_waited(connection).label("seconds"),
    )
    latest = latest_dispatches(columns, [ByPrimaryKey(column.id)], since, MAX_READ)
    # A look-up for each dispatch: for a join, PostgreSQL would rather read all events.
    decision = select(events.c.decision).where(events.c.id == latest.c.event_id).scalar_subquery()
    decided = (
        select(latest, decision.label("decision")).where(latest.c.rule_id != rule_id, ~latest.c.is_handover).subquery()
    )
    query = (
        select(decided)
        .where(cast(decided.c.decision, Text).contains(_OUTSIDE))
        .order_by(decided.c.id.desc())
        .limit(_MAX_OUTSIDE)
    )
    rows = connection.execute(query).all()
    reached = rows[-1].id if len(rows) == _MAX_OUTSIDE else _horizon(connection, since)
    if reached is not None:
        since = instant_of_id(reached) or since
    whole, by_rule = Tally(), dict[str, Tally]()
    for row in rows:
        if not _passed_over(row.decision, rule_id):
            continue
        seconds = [] if row.seconds is None else [max(0.0, row.seconds)]
        for tally in (whole, by_rule.setdefault(row.rule_name, Tally())):
            tally.add(row.fate, 1, int(row.rung > 0), seconds)
    inside = dispatch_statistics(connection, since, as_of, rule_id=rule_id)
    return Rollout(
        since=since,
        as_of=as_of,
        is_cut=reached is not None or inside.is_cut,
        inside=inside.overall,
        outside=Figures(**whole.figures()),
        outside_by_rule=tuple(RuleFigures(**one.figures(), rule=name) for name, one in sorted(by_rule.items())),
    )


def _horizon(connection: Connection, since: datetime) -> str | None:
    """Return the id of the oldest dispatch that is looked through; None if all since `since` are."""
    key = dispatches.c.id
    query = select(key).where(key >= lowest_id_at(since)).order_by(key.desc()).offset(MAX_READ - 1).limit(1)
    return connection.scalar(query)


def _passed_over(decision: Mapping[str, Any] | None, rule_id: int) -> bool:
    entries = (decision or {}).get("passed_over")
    return isinstance(entries, list) and any(
        isinstance(one, Mapping) and one.get("rule_id") == rule_id and one.get("outcome") == _OUTSIDE for one in entries
    )
