"""A rollout is compared with the callers outside its share alone, by whichever rule took them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from app.audit import Rollout, compare_rollout
from app.audit.trends import rollout_comparison
from app.db.tables import routing_rules
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

Columns = dict[str, Any]

NEW: Columns = {"rule_id": 7, "rule_name": "new"}
OLD: Columns = {"rule_id": 8, "rule_name": "old"}
OTHER: Columns = {"rule_id": 9, "rule_name": "x"}
OUTSIDE = {"rule_id": 7, "rule": "new", "outcome": "outside_rollout", "detail": "10 %"}
OUT_OF_HOURS = {"rule_id": 7, "rule": "new", "outcome": "out_of_hours"}


def _call(seconds: float, rule: Columns, *passed_over: Columns, after: float | None) -> list[Columns]:
    """Return the event and the dispatch of a call; its agent joined `after` so many seconds, or did not."""
    decision: Columns = {"rules_version": 1, "matched": [{"rule_id": rule["rule_id"], "rule": rule["rule_name"]}]}
    if passed_over:
        decision["passed_over"] = list(passed_over)
    event = event_row(at(seconds), decision=decision)
    came = {"joined_at": at(seconds + after)} if after is not None else {"status": "no_show", "cause": "no_agent"}
    return [event, dispatch_row(at(seconds), event, **rule, **came, ended_at=at(seconds + 90))]


def _compare(database: Database, *calls: list[Columns]) -> Rollout:
    with database.writer_engine().begin() as writing:
        for event, dispatch in calls:
            store(writing, event_rows=[event], dispatch_rows=[dispatch])
    with database.reader_engine().connect() as connection:
        return compare_rollout(connection, 7, at(0) - timedelta(hours=1), at(3600))


def _with_the_rule(database: Database) -> None:
    with database.writer_engine().begin() as writing:
        rule = {"id": 7, "name": "new", "pattern": {"room": {"name": ["a"]}}, "agent_name": "next"}
        writing.execute(insert(routing_rules).values(rule))


def test_only_callers_to_whom_the_rule_applies_are_compared(database: Database) -> None:
    _with_the_rule(database)
    found = _compare(
        database,
        _call(1, NEW, after=2.0),
        _call(2, NEW, after=None),
        _call(3, OLD, OUTSIDE, after=1.0),
        _call(4, OLD, OUTSIDE, after=3.0),
        _call(5, OTHER, OUTSIDE, after=None),
        _call(6, OLD, OUT_OF_HOURS, after=9.0),  # it would not have taken this one in any case
        _call(7, OLD, {**OUTSIDE, "rule_id": 5}, after=9.0),  # outside the share of another rule
        _call(8, OTHER, after=9.0),
    )
    assert (found.inside.dispatches, found.inside.arrived, found.inside.no_shows) == (2, 1, 1)
    assert (found.outside.dispatches, found.outside.arrived, found.outside.no_shows) == (3, 2, 1)
    assert found.outside.seconds_to_agent.p95 == pytest.approx(3.0, abs=0.002)
    assert [(one.rule, one.dispatches) for one in found.outside_by_rule] == [("old", 2), ("x", 1)]
    assert not found.is_cut


def test_both_sides_begin_at_the_same_instant_when_there_are_many(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_comparison, "MAX_READ", 10)
    _with_the_rule(database)
    calls = [_call(one, NEW, after=1.0) if one % 2 else _call(one, OLD, OUTSIDE, after=1.0) for one in range(40)]
    found = _compare(database, *calls)
    assert found.is_cut
    assert found.since == at(30)
    assert (found.inside.dispatches, found.outside.dispatches) == (5, 5)


def test_a_rollout_without_callers_has_no_shares(database: Database) -> None:
    found = _compare(database, _call(1, OTHER, after=1.0))
    assert (found.inside.dispatches, found.outside.dispatches, found.outside_by_rule) == (0, 0, ())
    assert found.outside.no_show_share is None
