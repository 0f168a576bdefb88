"""How long the queues are and who is at which position, however many callers wait."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, update

from app.audit import MAX_WAITING, load_of_agents, places_in_queue, queue_lengths, queue_overview, read_pace
from app.db.tables import agents
from app.flows.announce.pace_cache import PaceCache
from tests.conftest import Database, StillClock
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

NOW = at(3600)
MANY = MAX_WAITING + 200


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writer_engine().begin() as connection:
        yield connection


def waiting(seconds: float, agent_name: str, **values: Any) -> dict[str, Any]:
    states = {"status": "pending", "cause": "queued", "queued_at": at(seconds), "agent_name": agent_name}
    return dispatch_row(at(seconds), event_row(at(seconds)), **{**states, **values})


def store_waiting(connection: Connection, *dispatches: dict[str, Any]) -> None:
    store(connection, event_rows=[event_row(at(0), id=one["event_id"]) for one in dispatches], dispatch_rows=dispatches)


def test_all_callers_count_though_only_the_first_are_listed(connection: Connection) -> None:
    connection.execute(insert(agents), [{"agent_name": name, "max_calls": 0} for name in ("long", "short")])
    last = [waiting(3000 + number, "short") for number in range(3)]
    store_waiting(connection, *(waiting(number / 10, "long") for number in range(MANY)), *last)
    found = queue_overview(connection, NOW, limit=50)
    assert [(one.agent_name, one.length, one.oldest_wait_s) for one in found.queues] == [
        ("long", MANY, 3600.0),
        ("short", 3, 600.0),
    ]
    assert [(one.agent_name, one.position) for one in found.items] == [("long", place) for place in range(1, 51)]
    assert found.is_cut
    assert load_of_agents(connection, NOW)[1] == {"long": MANY, "short": 3}


def test_a_position_does_not_depend_on_the_length_of_another_queue(connection: Connection) -> None:
    connection.execute(insert(agents), [{"agent_name": name, "max_calls": 0} for name in ("long", "short")])
    rows = [waiting(number / 10, "long") for number in range(MANY)]
    last = [waiting(3000 + number, "short") for number in range(3)]
    store_waiting(connection, *rows, *last)
    asked = {one["id"] for one in (*last, rows[MAX_WAITING - 1], rows[MAX_WAITING])}
    places = {key: one.position for key, one in places_in_queue(connection, asked, NOW).items()}
    assert places == {last[0]["id"]: 1, last[1]["id"]: 2, last[2]["id"]: 3, rows[MAX_WAITING - 1]["id"]: MAX_WAITING}


def test_callers_of_a_rule_have_a_queue_of_their_own_if_only_the_rule_limits_them(connection: Connection) -> None:
    connection.execute(insert(agents), [{"agent_name": "limited", "max_calls": 0}])
    of_rule = {"max_calls": 2, "rule_name": "hall"}
    rows = [
        waiting(1, "free", **of_rule),
        waiting(2, "free", **of_rule),
        waiting(3, "free", **of_rule, replaces_kind="handover"),
        waiting(4, "free", **of_rule, rung=1),
        waiting(5, "limited", **of_rule),
        waiting(6, "limited", rule_name="vip", max_calls=None),
    ]
    store_waiting(connection, *rows)
    assert [(one.agent_name, one.rule_name, one.length) for one in queue_lengths(connection, NOW)] == [
        ("free", None, 2),
        ("free", "hall", 2),
        ("limited", None, 2),
    ]
    assert [one.position for one in queue_overview(connection, NOW).items] == [1, 2, 1, 2, 1, 2]


def test_queues_of_other_projects_are_left_out(connection: Connection) -> None:
    connection.execute(insert(agents), [{"agent_name": "greeter", "max_calls": 0}])
    store_waiting(connection, *(waiting(one, "greeter", project=f"p{one % 2}") for one in range(4)))
    found = queue_overview(connection, NOW, projects=["p1"])
    assert [(one.project, one.length) for one in found.queues] == [("p1", 2)]
    assert [(one.project, one.position) for one in found.items] == [("p1", 1), ("p1", 2)]
    assert not found.is_cut
    assert queue_overview(connection, NOW, projects=[]).queues == ()


class SlowClock(StillClock):
    """Each reading takes a tenth of a second, and so does what happens between two."""

    def monotonic(self) -> float:
        self.advance(0.1)
        return super().monotonic()


def test_a_pace_that_takes_long_to_read_is_read_rarely(connection: Connection) -> None:
    starts = [dispatch_row(at(3000), event_row(at(3000)), placed_at=at(3000), agent_name="greeter") for _ in range(5)]
    store(connection, dispatch_rows=starts)
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
    cache = PaceCache(SlowClock())
    for _ in range(10):
        assert cache.read(connection, {"greeter"}, NOW).starts["default", "greeter", None] == 5
    once = len(statements)
    assert once < 10
    cache.read(connection, {"greeter", "another"}, NOW)
    twice = len(statements)
    assert once < twice < 2 * once + 3
    for _ in range(20):
        cache.read(connection, {"greeter"}, NOW)
    assert len(statements) == twice + once


def ended_call(seconds: float, ended_ago: float, **more: Any) -> Any:
    start = at(3600 - ended_ago - seconds)
    columns = {"placed_at": start, "ended_at": at(3600 - ended_ago), "status": "ended", "agent_name": "greeter", **more}
    return dispatch_row(start, event_row(start), **columns)


def expected(connection: Connection, position: int = 1, rule: str | None = None) -> float | None:
    return read_pace(connection, {"greeter"}, NOW).expected_wait_s(("default", "greeter", rule), position)


def limit(connection: Connection, **columns: Any) -> None:
    connection.execute(insert(agents).values(agent_name="greeter", **columns))


def test_the_wait_is_the_position_times_the_mean_duration_by_the_places(connection: Connection) -> None:
    limit(connection, max_calls=4)
    assert expected(connection) is None  # no call has ended
    store(connection, dispatch_rows=[ended_call(100, 50), ended_call(300, 20 * 3600)])
    assert expected(connection) == pytest.approx(50)
    assert expected(connection, 6) == pytest.approx(300)


def test_a_quiet_hour_and_calls_that_have_just_begun_make_no_long_wait(connection: Connection) -> None:
    limit(connection, max_calls=2)
    begun = dispatch_row(at(3599), event_row(at(3599)), placed_at=at(3599), status="joined", agent_name="greeter")
    store(connection, dispatch_rows=[begun])
    assert expected(connection) is None
    store(connection, dispatch_rows=[ended_call(60, 3 * 3600)])
    assert expected(connection) == pytest.approx(30)


def test_calls_of_another_day_say_nothing(connection: Connection) -> None:
    limit(connection, max_calls=2)
    store(connection, dispatch_rows=[ended_call(60, 25 * 3600)])
    assert expected(connection) is None


def test_a_limit_of_starts_makes_callers_wait_at_least_so_long(connection: Connection) -> None:
    limit(connection, starts_per_second=2)
    assert expected(connection, 10) == 5.0
    connection.execute(update(agents).values(max_calls=100))
    assert expected(connection, 10) is None
    store(connection, dispatch_rows=[ended_call(10, 60)])
    assert expected(connection, 10) == 5.0


def test_an_agent_that_takes_no_calls_has_no_expected_wait(connection: Connection) -> None:
    limit(connection, max_calls=0)
    store(connection, dispatch_rows=[ended_call(60, 60)])
    assert expected(connection) is None
    connection.execute(update(agents).values(max_calls=1))
    assert expected(connection) == pytest.approx(60)
    connection.execute(update(agents).values(out_of_service_until=NOW + timedelta(hours=1)))
    assert expected(connection) is None
