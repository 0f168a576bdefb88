"""Every question of the lists goes through an index, in its order: no table is read whole, nothing is sorted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event

from app.audit import (
    CallDirection,
    CallFilter,
    CallOutcome,
    CallState,
    DispatchFilter,
    EventFilter,
    calls_of_same_caller,
    find_event,
    get_dispatch,
    get_event,
    list_calls,
    list_dispatches,
    list_events,
    timeline,
)
from app.audit.lists import path_rows
from app.db.types import DispatchStatus, EventOutcome, EventSource
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, attempt_row, caller_row, change_row, dispatch_row, event_row, store

ROWS = 3_000
OF_ONE_MINUTE = re.compile(
    r"Incremental Sort|Sort Key: \(?substr\(id, 1, 8\).*|TEMP B-TREE FOR (?:LAST TERM|RIGHT PART) OF ORDER BY"
)
"""The sort of few events that are next to each other in an index."""


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Some thousand calls, so that a planner prefers indexes for a reason; statistics are fresh."""
    rows, orders, callers, changes, attempts = [], [], [], [], []
    statuses = [status.value for status in DispatchStatus]
    for number in range(ROWS):
        joined = event_row(
            at(number),
            livekit_id=f"EV_{number}",
            dedupe_key=f"default/EV_{number}" if number % 2 else f"default/join/PA_{number}",
            participant_identity=f"caller {number % 700}",
            room_name=f"room {number % 300}",
            room_sid=f"RM_{number}",
            participant_sid=f"PA_{number}",
            phone_number=f"+{number % 500}" if number % 2 else None,
            trunk_number=f"sip:+1555765432{number % 4}@trunk.example" if number % 2 else None,
            type="participant_joined" if number % 5 else "participant_left",
            source="sweep" if number % 100 == 50 else "webhook",
            outcome=("planned", "served", "no_match", "ignored")[number % 4],
        )
        order = dispatch_row(
            at(number), joined, status=statuses[number % 8], agent_name=f"agent {number % 9}",
            rule_name=f"rule {number % 50}", agent_sid=f"PA_agent_{number}",
        )  # fmt: skip
        rows.append(joined)
        orders.append(order)
        callers.append(caller_row(order, joined))
        changes.append(change_row(at(number), order, None, "sending", reason="rule matched"))
        attempts.append(attempt_row(at(number), order, 1, "accepted"))
    with database.writer_engine().begin() as writing:
        store(writing, event_rows=rows, dispatch_rows=orders, callers=callers, attempts=attempts, changes=changes)
    database.execute("ANALYZE")
    with database.reader_engine().connect() as reading:
        if database.kind == "postgresql":
            # A handful of rows is as well sorted or scanned; whether the index could do it is the question here.
            for other_way in ("seqscan", "bitmapscan", "sort"):
                reading.exec_driver_sql(f"SET enable_{other_way} = off")
        yield reading


def _plans(connection: Connection, question: Any) -> list[tuple[str, str]]:
    """Return each statement that `question` asks, with its plan."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        question(connection)
    finally:
        event.remove(connection, "before_cursor_execute", note)
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    return [
        (statement, "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)))
        for statement, parameters in asked
    ]


def _assert_by_index(connection: Connection, question: Any, index: str = "", *, may_sort: bool = False) -> None:
    """Assert that no statement reads a table whole or sorts, and that each goes by `index`, if one is named."""
    plans = _plans(connection, question)
    assert plans
    for statement, plan in plans:
        if connection.dialect.name == "postgresql":
            whole = "Seq Scan" in plan
            sorts = "Sort" in (OF_ONE_MINUTE.sub("", plan) if "_minute" in plan else plan)
        else:
            # A scan by an index in its order stops at the limit; one without reads the table.
            # Not tables: the names of agents and rules, one look-up each, and a bounded number of entries of an index.
            bounded = ("SCAN distinct_names", "SCAN prefixed")
            scans = (line for line in plan.splitlines() if not any(one in line for one in bounded))
            whole = any("SCAN" in line and "USING" not in line for line in scans)
            sorts = "TEMP B-TREE" in (OF_ONE_MINUTE.sub("", plan) if "_minute" in plan else plan)
        assert not whole, f"{statement}\n{plan}"
        assert may_sort or not sorts, f"{statement}\n{plan}"
        by = {"pk_events": "sqlite_autoindex_events_1", "pk_dispatches": "sqlite_autoindex_dispatches_1"}
        assert index in plan or by.get(index, "nothing") in plan, f"{index} is not used: {statement}\n{plan}"


CURSOR_AND_TIME: dict[str, Any] = {"since": at(100), "until": at(2_900)}
EVENTS: list[tuple[dict[str, Any], str]] = [
    ({}, "pk_events"),
    ({"identity": "caller 5"}, "ix_events_identity_minute"),
    ({"room": "room 5"}, "ix_events_room_minute"),
    ({"phone_number": "+5"}, "ix_events_phone_number"),
    ({"types": ("participant_left",)}, "pk_events"),
    ({"types": ("participant_joined", "track_published")}, "pk_events"),
    ({"types": ("track_published",)}, "ix_events_rare_type"),
    ({"types": ("track_published", "agent_job_ended")}, "ix_events_rare_type"),
    ({"outcomes": (EventOutcome.NO_MATCH,)}, "ix_events_unusual_outcome"),
    ({"outcomes": (EventOutcome.NO_MATCH, EventOutcome.IGNORED)}, "pk_events"),
    ({"outcomes": (EventOutcome.PLANNED,)}, "pk_events"),
    ({"source": EventSource.SWEEP}, "ix_events_source"),
    ({"source": EventSource.SWEEP, "types": ("participant_joined",)}, "ix_events_source"),
    ({"project": "default", "source": EventSource.WEBHOOK}, "pk_events"),
    ({"types": ("participant_joined",), "outcomes": (EventOutcome.IGNORED,), "project": "default"}, ""),
    ({"identity": "caller 5", "room": "room 5", "outcomes": (EventOutcome.PLANNED,)}, ""),
]
DISPATCHES: list[tuple[dict[str, Any], str]] = [
    ({}, "pk_dispatches"),
    ({"identity": "caller 5"}, "ix_dispatches_participant_identity_id"),
    ({"room": "room 5"}, "ix_dispatches_room_name_id"),
    ({"rule": "rule 5"}, "ix_dispatches_rule_name_id"),
    ({"agent": "agent 5"}, "ix_dispatches_agent_name_id"),
    ({"statuses": (DispatchStatus.FAILED,)}, "ix_dispatches_not_ended"),
    ({"statuses": (DispatchStatus.FAILED, DispatchStatus.NO_SHOW)}, "ix_dispatches_not_ended"),
    ({"statuses": (DispatchStatus.ENDED,)}, "pk_dispatches"),
    ({"project": "default"}, "pk_dispatches"),
    ({"agent": "agent 5", "statuses": (DispatchStatus.NO_SHOW,), "project": "default"}, ""),
    ({"rule": "rule 5", "agent": "agent 5", "statuses": (DispatchStatus.NO_SHOW, DispatchStatus.FAILED)}, ""),
]


def _assert_pages_by_index(connection: Connection, listing: Any, chosen: Any, index: str) -> None:
    """Assert it of the first page of what is chosen, and of the second if there is one."""
    cursor = listing(connection, chosen, limit=5).next_cursor
    for at_page in dict.fromkeys((None, cursor)):
        _assert_by_index(connection, lambda asked, page=at_page: listing(asked, chosen, limit=5, cursor=page), index)


def test_lists_of_events_go_by_index(connection: Connection) -> None:
    for values, index in EVENTS:
        for more in ({}, CURSOR_AND_TIME):
            _assert_pages_by_index(connection, list_events, EventFilter(**{**values, **more}), index)


def test_lists_of_dispatches_go_by_index(connection: Connection) -> None:
    for values, index in DISPATCHES:
        for more in ({}, CURSOR_AND_TIME):
            _assert_pages_by_index(connection, list_dispatches, DispatchFilter(**{**values, **more}), index)


def test_what_finds_few_rows_by_another_table_goes_by_index(connection: Connection) -> None:
    # Those few are sorted: a number's calls, a room session's, what an id names
    for chosen in (
        DispatchFilter(phone_number="+5"),
        DispatchFilter(phone_number="+5", agent="agent 5", statuses=(DispatchStatus.ENDED,)),
        DispatchFilter(search="PA_17"),
        DispatchFilter(search="AD_17"),
        DispatchFilter(search="RM_17", statuses=(DispatchStatus.FAILED,)),
    ):
        _assert_by_index(connection, lambda asked, chosen=chosen: list_dispatches(asked, chosen), may_sort=True)
    _assert_by_index(connection, lambda asked: list_events(asked, EventFilter(search="PA_17")), may_sort=True)


@pytest.mark.parametrize("livekit_id", ["EV_17", "EV_18"])
def test_what_livekits_id_of_an_event_finds_goes_by_index(connection: Connection, livekit_id: str) -> None:
    # By the dedupe key, which webhooks of the project `default` have, and by the index of all others
    for question in (
        lambda asked: get_event(asked, livekit_id),
        lambda asked: find_event(asked, livekit_id),
        lambda asked: list_events(asked, EventFilter(search=livekit_id)),
        lambda asked: list_events(asked, EventFilter(search=livekit_id, identity="caller 17")),
        lambda asked: list_dispatches(asked, DispatchFilter(search=livekit_id)),
        lambda asked: list_dispatches(asked, DispatchFilter(search=livekit_id, agent="agent 8")),
        lambda asked: list_calls(asked, CallFilter(q=livekit_id)),
        lambda asked: timeline(asked, livekit_id),
    ):
        _assert_by_index(connection, question, may_sort=True)
        plans = [plan for statement, plan in _plans(connection, question) if "livekit_id =" in statement]
        assert plans
        for plan in plans:
            assert "ix_events_other_livekit_id" in plan, plan
            assert "uq_events_dedupe_key" in plan or "sqlite_autoindex_events_2" in plan, plan


def test_calls_and_timelines_go_by_index(connection: Connection) -> None:
    for chosen in (
        CallFilter(),
        *(CallFilter(states={state}) for state in CallState),
        CallFilter(states={CallState.FAILED, CallState.REMOVED}, projects=("default",), **CURSOR_AND_TIME),
        CallFilter(agent="agent 5", states={CallState.NO_SHOW}),
        CallFilter(rule="rule 5"),
        CallFilter(rule="rule 5", states={CallState.FAILED}),
        CallFilter(rule="rule 5", states={CallState.IGNORED}),
        CallFilter(identity="caller 5"),
    ):
        _assert_by_index(connection, lambda asked, chosen=chosen: list_calls(asked, chosen, limit=5), may_sort=True)
    whole = list_dispatches(connection, DispatchFilter(), limit=1).items[0]
    for reference in (whole.id, whole.event_id, whole.participant_sid, "caller 6", "+7"):
        _assert_by_index(connection, lambda asked, one=reference: timeline(asked, one), may_sort=True)
    _assert_by_index(connection, lambda asked: get_dispatch(asked, whole.id), may_sort=True)


SEARCHED = {
    "ix_events_searched_identity": "caller 69",
    "ix_events_searched_room": "ROOM 29",
    "ix_events_searched_name": "Ana P",
    "ix_events_reversed_digits": "+34 600 000 499",
    "ix_events_reversed_trunk_digits": "(555) 765-4321",
    "ix_events_ignoring_rule": "spam",
    "ix_dispatches_job_id": "AJ_17",
    "ix_dispatch_attempts_livekit_dispatch_id": "AD_17",
    "ix_dispatches_agent_name_id": "Agent 5",
}


@pytest.mark.parametrize("index", SEARCHED)
def test_each_way_to_find_calls_goes_by_its_index(connection: Connection, index: str) -> None:
    for more in ({}, {"states": {CallState.ENDED}, "projects": ("default",), **CURSOR_AND_TIME}):
        chosen = CallFilter(q=SEARCHED[index], **more)
        # What is found is little, and sorted
        _assert_by_index(connection, lambda asked, chosen=chosen: list_calls(asked, chosen, limit=5), may_sort=True)
        plans = _plans(connection, lambda asked, chosen=chosen: list_calls(asked, chosen, limit=5))
        assert any(index in plan for _, plan in plans), more


def test_a_beginning_that_many_have_goes_by_index(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_rows, "MAX_PREFIXED", 50)
    for chosen in (CallFilter(q="caller"), CallFilter(q="caller", states={CallState.NO_SHOW}), CallFilter(q="room 1"),
                   CallFilter(q="7654321"), CallFilter(q="7654321", states={CallState.NO_SHOW})):  # fmt: skip
        _assert_by_index(connection, lambda asked, chosen=chosen: list_calls(asked, chosen, limit=5), may_sort=True)


def test_filters_of_calls_that_no_index_serves_go_by_index_in_bounded_steps(connection: Connection) -> None:
    for chosen in (
        *(CallFilter(outcome=outcome) for outcome in CallOutcome),
        CallFilter(agent="agent 5", outcome=CallOutcome.NO_AGENT),
        CallFilter(direction=CallDirection.INBOUND),
        CallFilter(metadata=(("language", "es"),)),
    ):
        _assert_by_index(connection, lambda asked, chosen=chosen: list_calls(asked, chosen, limit=5), may_sort=True)


def test_the_callers_other_calls_go_by_index(connection: Connection) -> None:
    for chosen in (CallFilter(identity="caller 6"), CallFilter(phone_number="+9")):
        call = list_calls(connection, chosen, limit=3).items[-1]
        _assert_by_index(connection, lambda asked, call=call: calls_of_same_caller(asked, call))
