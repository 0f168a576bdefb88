"""Rules that are paused until a moment, and the sets and reasons of recorded changes, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from app.db.types import format_instant
from app.rules.book.decision import Outcome
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import read_book
from app.rules.check import check_rule
from app.rules.columns import complete
from app.rules.editing.edit_rule import change_rule, create_rule
from app.rules.editing.history import history
from app.rules.editing.rule_set import apply_file, revert_rules
from app.rules.editing.rules_file import RulesFile
from app.rules.editing.stored_rules import read_stored_rule
from app.webhook.event import Event
from tests.conftest import Database
from tests.unit.rules.books import make_event

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def joined(at: datetime) -> Event:
    return make_event({"event": "participant_joined", "participant": {"identity": "ana", "role": "caller"}}, at)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    engine = database.writer_engine()
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def rule(name: str = "all", **columns: Any) -> dict[str, Any]:
    return complete({"name": name, "agent_name": "x", "pattern": {}, **columns})


def test_a_paused_rule_is_not_in_force_before_its_moment(connection: Connection) -> None:
    create_rule(connection, rule(paused_until="2026-11-23T13:00+01:00"), "maria")
    book = read_book(connection)
    before, after = joined(NOW + timedelta(hours=1, minutes=59)), joined(NOW + timedelta(hours=2))
    assert [one.name for one in evaluate(book, after).matched] == ["all"]
    decision = evaluate(book, before)
    (verdict,) = decision.passed_over
    assert (decision.matched, verdict.outcome) == ((), Outcome.PAUSED)
    assert verdict.describe() == "would match, but is paused until 2026-11-23T12:00:00.000000Z"
    assert decision.explain() == [f"all: {verdict.describe()}"]
    assert [one.outcome for one in evaluate(book, before, explain=True).verdicts or ()] == [Outcome.PAUSED]


def test_plain_sql_may_pause_a_rule_with_the_databases_clock(connection: Connection) -> None:
    stored = create_rule(connection, rule(), "maria")
    soon = "now() + interval '2 hours'" if connection.dialect.name == "postgresql" else "datetime('now', '+2 hours')"
    connection.execute(text(f"UPDATE routing_rules SET paused_until = {soon}"))
    shown = read_stored_rule(connection, stored.id).row["paused_until"]
    moment = datetime.fromisoformat(shown)
    assert abs(moment - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5)
    assert shown == format_instant(moment)
    assert check_rule(read_stored_rule(connection, stored.id).row) == []
    assert evaluate(read_book(connection), joined(datetime.now(UTC))).matched == ()


def test_a_moment_that_is_none_makes_a_bad_rule_and_is_refused_on_saving(sqlite_database: Database) -> None:
    with sqlite_database.writer_engine().begin() as connection:
        create_rule(connection, rule(), "maria")
        connection.execute(text("UPDATE routing_rules SET paused_until = 'tomorrow'"))
        (bad,) = read_book(connection).bad.values()
        assert [problem.path for problem in bad.problems] == ["paused_until"]
    (problem,) = check_rule(rule(paused_until="tomorrow"))
    assert (problem.path, "ISO 8601" in problem.message) == ("paused_until", True)


def test_an_equal_moment_in_another_form_is_no_change(connection: Connection) -> None:
    create_rule(connection, rule(paused_until="2026-11-23T13:00+01:00"), "maria")
    edit = apply_file(connection, RulesFile((rule(paused_until="2026-11-23T12:00:00Z"),)), delete=True, editor="maria")
    assert not edit.is_effective
    assert not revert_rules(connection, edit.version, name=None, editor="maria").is_effective


def test_all_changes_of_one_apply_are_one_set_with_its_reason(connection: Connection) -> None:
    apply_file(connection, RulesFile((rule("a"), rule("b"))), delete=True, editor="maria", why=" new   team ")
    apply_file(connection, RulesFile((rule("a", priority=7), rule("c"))), delete=True, editor="otto")
    changes = history(connection)
    later, first = changes[:3], changes[3:]
    assert {change.why for change in first} == {"new team"}
    assert {change.why for change in later} == {None}
    assert len({change.change_set for change in first}) == len({change.change_set for change in later}) == 1
    assert None not in {change.change_set for change in changes}
    assert first[0].change_set != later[0].change_set


def test_plain_sql_has_a_set_and_no_reason(connection: Connection) -> None:
    connection.execute(text("INSERT INTO routing_rules (name, agent_name, pattern) VALUES ('a', 'x', '{}')"))
    connection.execute(text("INSERT INTO routing_rules (name, agent_name, pattern) VALUES ('b', 'x', '{}')"))
    changes = history(connection)
    assert [change.why for change in changes] == [None, None]
    assert None not in {change.change_set for change in changes}
    if connection.dialect.name == "postgresql":
        assert len({change.change_set for change in changes}) == 1


def test_each_edit_of_a_rule_has_its_own_reason(connection: Connection) -> None:
    stored = create_rule(connection, rule(), "maria", why="first")
    change_rule(connection, stored.id, {"priority": 5}, "otto", None, whole=False, why="busy hours")
    assert [change.why for change in history(connection)] == ["busy hours", "first"]
