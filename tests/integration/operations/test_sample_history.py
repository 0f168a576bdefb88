"""Past calls look as if Usher had handled them: their states, their timelines, and what pages count."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

import app.cli.demo
from app.audit import CallFilter, CallState, dispatch_statistics, explain, list_calls, over_time
from app.cli.demo.past_week import past_week
from app.db.tables import audit_log, dispatches
from app.db.types import DispatchStatus
from app.flows.sample_history.past_call import Fate
from app.flows.sample_history.write_history import write_history
from app.outbox.states import require_transition
from app.rules.editing.rule_set import apply_file
from app.rules.editing.rules_file import read_rules_file
from tests.conftest import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = Path(app.cli.demo.__file__).with_name("demo_rules.yaml")


def test_the_past_week_is_the_same_each_time_and_over() -> None:
    calls = past_week(NOW)
    assert calls == past_week(NOW)
    assert 400 < len(calls) < 900
    assert NOW - calls[0].at < timedelta(days=7)
    assert max(call.left_at for call in calls) < NOW
    fates = Counter(call.fate for call in calls)
    assert fates[Fate.NO_AGENT] > 10
    assert fates[Fate.ABANDONED] > 1
    assert fates[Fate.SERVED] > 0.9 * len(calls)


def test_past_calls_are_told_as_if_usher_had_handled_them(database: Database) -> None:
    calls = past_week(NOW)
    with database.writer_engine().begin() as writing:
        apply_file(writing, read_rules_file(RULES), delete=False, editor="demo")
        write_history(writing, calls, 65_536)
    with database.reader_engine().connect() as connection:
        stored = connection.execute(select(dispatches).order_by(dispatches.c.id)).mappings().all()
        assert len(stored) == len(calls)  # each has a rule
        assert {row["status"] for row in stored} == {
            DispatchStatus.ENDED,
            DispatchStatus.NO_SHOW,
            DispatchStatus.CANCELLED,
        }
        changes = connection.execute(select(audit_log).order_by(audit_log.c.id)).mappings().all()
        assert [one["changed_at"] for one in changes] == sorted(one["changed_at"] for one in changes)
        for change in changes:
            before = None if change["from_state"] is None else DispatchStatus(change["from_state"])
            if before is not None:
                require_transition(before, DispatchStatus(change["to_state"]))
        statistics = dispatch_statistics(connection, NOW - timedelta(days=8), NOW)
        agents = {one.agent: one for one in statistics.agents}
        assert agents["sales-agent"].no_shows > 5
        assert agents["billing-agent"].arrived == 0
        assert agents["reception-agent"].arrived > agents["billing-agent"].dispatches / 2
        found = over_time(connection, 168, NOW)
        assert sum(one.calls for one in found.points) >= len(calls) - 10
        for state, words in (
            (CallState.NO_SHOW, "no other agent to ask"),
            (CallState.ABANDONED, "gave up"),
            (CallState.ENDED, "joined"),
        ):
            call = list_calls(connection, CallFilter(states={state}), limit=1).items[0]
            told = explain(connection, call.event_id).timeline
            assert told.call.state is state
            assert words in " ".join([told.summary, *(step.reason for step in told.steps)])
            assert told.call.left_at is not None
