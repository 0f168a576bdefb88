"""Lists of events and dispatches: right on both databases, page by page, whatever is filtered."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from app.audit import (
    CallFilter,
    DispatchFilter,
    EventFilter,
    find_event,
    get_event,
    iterate_dispatches,
    iterate_events,
    list_calls,
    list_dispatches,
    list_events,
)
from app.audit.lists import path_rows
from app.db.types import DispatchStatus, EventOutcome, EventSource
from app.errors import InvalidInputError
from app.webhook.dedupe_keys import event_key, join_key, quoted
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, attempt_row, caller_row, dispatch_row, event_row, store

FAILED, NO_SHOW, ENDED = DispatchStatus.FAILED, DispatchStatus.NO_SHOW, DispatchStatus.ENDED


def _fill(database: Database) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Store forty calls, a second apart, with agents, rooms, numbers and ends in turn."""
    rows, orders = [], []
    for number in range(40):
        event = event_row(
            at(number),
            participant_identity=f"caller-{number % 4}",
            room_name="even" if number % 2 == 0 else "odd",
            phone_number=f"+3460000{number % 3}",
            source="sweep" if number % 10 == 9 else "webhook",
            project="eu" if number < 30 else "us",
        )
        status = FAILED if number % 5 == 0 else NO_SHOW if number % 7 == 0 else ENDED
        agent = "support-es" if number % 3 else "sales"
        orders.append(dispatch_row(at(number + 0.01), event, status=status, agent_name=agent, rule_name=f"to {agent}"))
        rows.append(event)
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=rows, dispatch_rows=orders)
    return rows, orders


def _ids(rows: Any) -> list[str]:
    return [row["id"] if isinstance(row, dict) else row.id for row in rows]


def _all_pages(connection: Connection, chosen: Any, limit: int) -> list[str]:
    read: Any = list_events if isinstance(chosen, EventFilter) else list_dispatches
    seen: list[str] = []
    cursor = None
    while True:
        page = read(connection, chosen, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        seen += _ids(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return seen


def _every(_row: Any) -> bool:
    return True


def _none(_row: Any) -> bool:
    return False


DISPATCH_CASES: list[tuple[DispatchFilter, Any]] = [
    (DispatchFilter(), _every),
    (DispatchFilter(statuses=(FAILED,)), lambda row: row["status"] == "failed"),
    (DispatchFilter(statuses=(FAILED, NO_SHOW)), lambda row: row["status"] in {"failed", "no_show"}),
    (DispatchFilter(agent="sales"), lambda row: row["agent_name"] == "sales"),
    (DispatchFilter(rule="to sales"), lambda row: row["rule_name"] == "to sales"),
    (
        DispatchFilter(agent="sales", statuses=(NO_SHOW, FAILED), project="eu"),
        lambda row: row["agent_name"] == "sales" and row["status"] != "ended" and row["project"] == "eu",
    ),
    (DispatchFilter(identity="caller-1"), lambda row: row["participant_identity"] == "caller-1"),
    (
        DispatchFilter(identity="caller-1", room="odd", statuses=(ENDED,)),
        lambda row: row["participant_identity"] == "caller-1" and row["status"] == "ended",
    ),
    (DispatchFilter(room="even"), lambda row: row["room_name"] == "even"),
    (DispatchFilter(phone_number="+34600001"), lambda row: row["phone_number"] == "+34600001"),
    (DispatchFilter(phone_number="tel:+34-600-001"), lambda row: row["phone_number"] == "+34600001"),
    (
        DispatchFilter(phone_number="+34600001", agent="support-es"),
        lambda row: row["phone_number"] == "+34600001" and row["agent_name"] == "support-es",
    ),
    (DispatchFilter(project="us"), lambda row: row["project"] == "us"),
    (DispatchFilter(search="caller-2"), lambda row: row["participant_identity"] == "caller-2"),
    (DispatchFilter(search="+34600002"), lambda row: row["phone_number"] == "+34600002"),
    (DispatchFilter(search="RM_1", statuses=(FAILED,)), lambda row: row["status"] == "failed"),
    (DispatchFilter(search="sales"), lambda row: row["agent_name"] == "sales"),
    (DispatchFilter(since=at(10), until=at(20)), lambda row: at(10) <= row["created_at"] < at(20)),
    (
        DispatchFilter(agent="sales", since=at(10)),
        lambda row: row["agent_name"] == "sales" and row["created_at"] >= at(10),
    ),
    (DispatchFilter(identity="nobody"), _none),
]


@pytest.mark.parametrize("searched", [path_rows.MAX_ROWS_CHECKED, 7])
def test_every_filter_of_dispatches_finds_just_its_rows_on_pages_of_any_size(
    database: Database, monkeypatch: pytest.MonkeyPatch, searched: int
) -> None:
    # Given forty dispatches, and a search that may look at many rows, or at seven, for one page
    monkeypatch.setattr(path_rows, "MAX_ROWS_CHECKED", searched)
    monkeypatch.setattr(path_rows, "MAX_CHECKED_BY_MINUTE", searched)
    monkeypatch.setattr(path_rows, "MAX_ROWS_OF_OTHER_TABLE", searched)
    rows, orders = _fill(database)
    with database.reader_engine().connect() as connection:
        for chosen, wanted in DISPATCH_CASES:
            expected = [order["id"] for event, order in zip(rows, orders, strict=True) if wanted({**event, **order})][
                ::-1
            ]
            # Then paging by any size gives each wanted row once, newest first
            for limit in (1, 3, 50):
                assert _all_pages(connection, chosen, limit) == expected, (chosen, limit)
            assert _ids(iterate_dispatches(connection, chosen)) == expected, chosen


EVENT_CASES: list[tuple[EventFilter, Any]] = [
    (EventFilter(), _every),
    (EventFilter(types=("participant_left",)), _none),
    (EventFilter(types=("participant_joined", "participant_left"), source=EventSource.SWEEP),
     lambda row: row["source"] == "sweep"),
    (EventFilter(outcomes=(EventOutcome.PLANNED, EventOutcome.NO_MATCH)), _every),
    (EventFilter(identity="caller-3", room="odd"), lambda row: row["participant_identity"] == "caller-3"),
    (EventFilter(room="even", project="us"), lambda row: row["room_name"] == "even" and row["project"] == "us"),
    (EventFilter(phone_number="+34600000"), lambda row: row["phone_number"] == "+34600000"),
    (EventFilter(phone_number="+34 (600) 000"), lambda row: row["phone_number"] == "+34600000"),
    (EventFilter(source=EventSource.SWEEP), lambda row: row["source"] == "sweep"),
    (EventFilter(search="odd", source=EventSource.SWEEP), lambda row: row["source"] == "sweep"),
    (EventFilter(since=at(5), until=at(8)), lambda row: at(5) <= row["received_at"] < at(8)),
]  # fmt: skip


@pytest.mark.parametrize("searched", [path_rows.MAX_ROWS_CHECKED, 7])
def test_every_filter_of_events_finds_just_its_rows_on_pages_of_any_size(
    database: Database, monkeypatch: pytest.MonkeyPatch, searched: int
) -> None:
    monkeypatch.setattr(path_rows, "MAX_ROWS_CHECKED", searched)
    monkeypatch.setattr(path_rows, "MAX_CHECKED_BY_MINUTE", searched)
    monkeypatch.setattr(path_rows, "MAX_ROWS_OF_OTHER_TABLE", searched)
    rows, _ = _fill(database)
    with database.reader_engine().connect() as connection:
        for chosen, wanted in EVENT_CASES:
            expected = [row["id"] for row in rows if wanted(row)][::-1]
            for limit in (1, 3, 50):
                assert _all_pages(connection, chosen, limit) == expected, (chosen, limit)
            assert _ids(iterate_events(connection, chosen)) == expected, chosen


def test_any_id_finds_its_call_and_those_that_share_its_agent(database: Database) -> None:
    # Given a dispatch of scope room that serves bob, too
    ana, bob = event_row(at(0)), event_row(at(5), participant_identity="bob", outcome="served")
    order = dispatch_row(at(0), ana, status="joined", agent_sid="PA_agent", job_id="AJ_1")
    attempts = [attempt_row(at(n), order, n, "accepted", livekit_dispatch_id=f"AD_{n}") for n in (1, 2)]
    with database.writer_engine().begin() as connection:
        store(
            connection,
            event_rows=[ana, bob],
            dispatch_rows=[order],
            callers=[caller_row(order, ana), caller_row(order, bob)],
            attempts=attempts,
        )
    with database.reader_engine().connect() as connection:
        of_events = (ana["id"], ana["livekit_id"], ana["participant_sid"], bob["participant_sid"], "RM_1")
        for text in (order["id"], *of_events, "AD_1", "AD_2", "AJ_1", "PA_agent"):
            found = list_dispatches(connection, DispatchFilter(search=text))
            assert _ids(found.items) == [order["id"]], text
        for text in (bob["id"], bob["livekit_id"], bob["participant_sid"], "bob"):
            assert _ids(list_events(connection, EventFilter(search=text)).items) == [bob["id"]], text


KEYS = {
    "of a webhook": ("default", "EV_1", event_key("default", "EV_1")),
    "of a join": ("default", "EV_2", join_key("default", "PA_2")),
    "of a project that is not configured any more": ("eu", "EV_3", event_key("eu", "EV_3")),
    "of a project with a slash": ("acme/eu", "EV_4", event_key("acme/eu", "EV_4")),
    "of an id with a slash": ("default", "EV/5 %", event_key("default", quoted("EV/5 %"))),
    "of a key of a release before": ("default", "EV_6", "0199c2a4"),
}


@pytest.mark.parametrize("key", KEYS)
def test_livekits_id_finds_its_event_whatever_its_dedupe_key_is(database: Database, key: str) -> None:
    # Given events with the same id in another place: the end of another project's key, and a key without that id
    project, livekit_id, dedupe_key = KEYS[key]
    own = event_row(at(1), project=project, livekit_id=livekit_id, dedupe_key=dedupe_key)
    others = [
        event_row(at(2), project="other", livekit_id=f"x{livekit_id}", dedupe_key=f"other/x{livekit_id}"),
        event_row(at(3), livekit_id="", dedupe_key=f"default/x{livekit_id}"),
    ]
    order = dispatch_row(at(1), own)
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[own, *others], dispatch_rows=[order])
    with database.reader_engine().connect() as connection:
        assert get_event(connection, livekit_id).id == own["id"]
        assert find_event(connection, livekit_id).id == own["id"]
        assert _ids(list_events(connection, EventFilter(search=livekit_id)).items) == [own["id"]]
        assert _ids(list_dispatches(connection, DispatchFilter(search=livekit_id)).items) == [order["id"]]
        assert [one.event_id for one in list_calls(connection, CallFilter(q=livekit_id)).items] == [own["id"]]
        assert _ids(list_events(connection, EventFilter(search=f"x{livekit_id}")).items) == [others[0]["id"]]


def test_livekits_id_finds_the_latest_replay_of_its_webhook(database: Database) -> None:
    webhook = event_row(at(0), livekit_id="EV_1", dedupe_key=event_key("default", "EV_1"))
    replay = event_row(at(9), livekit_id="EV_1", dedupe_key=event_key("default", "replay", "1"), source="replay")
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[webhook, replay])
    with database.reader_engine().connect() as connection:
        assert get_event(connection, "EV_1").id == replay["id"]
        found = list_events(connection, EventFilter(search="EV_1"))
        assert _ids(found.items) == [replay["id"], webhook["id"]]


def test_a_page_with_too_few_rows_says_how_far_it_searched(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a search of ten rows a page, and something that matches only thirty rows back
    monkeypatch.setattr(path_rows, "MAX_ROWS_CHECKED", 10)
    rows, _ = _fill(database)
    with database.reader_engine().connect() as connection:
        page = list_events(connection, EventFilter(project="eu"), limit=5)
    # Then the page is empty, but says so and goes on
    assert page.items == ()
    assert page.next_cursor is not None
    assert page.searched_back_to == rows[-10]["received_at"]


@pytest.mark.parametrize("cursor", ["", "!", "nonsense", "MQ", "Mfw", "ä"])
def test_a_cursor_that_is_none_is_refused(sqlite_database: Database, cursor: str) -> None:
    with (
        sqlite_database.reader_engine().connect() as connection,
        pytest.raises(InvalidInputError, match="cursor: is not a cursor that a list returned"),
    ):
        list_events(connection, EventFilter(), cursor=cursor)


def test_a_text_that_no_column_can_hold_is_refused_and_not_sent_to_the_database(database: Database) -> None:
    with database.reader_engine().connect() as connection, pytest.raises(InvalidInputError) as refused:
        list_dispatches(connection, DispatchFilter(identity="a\0b", search="\ud800"))
    assert [problem.path for problem in refused.value.problems] == ["identity", "search"]
