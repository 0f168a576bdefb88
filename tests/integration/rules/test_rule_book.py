"""The rule book read from, and following, a real database of both kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from app.rules import Rule, RuleBook, evaluate
from app.rules.book.read_book import book_at, follow, read_book, read_version
from tests.conftest import Database
from tests.unit.rules.books import make_event

JOIN = {"event": "participant_joined", "room": {"name": "support-1"}, "participant": {"kind": "STANDARD"}}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.reader_engine().connect() as connection:
        yield connection


def insert(database: Database, name: str, pattern: str, **columns: object) -> None:
    """Insert a rule with the needed columns, as an operator would with plain SQL."""
    names = ["name", "pattern", "agent_name", *columns]
    values = ", ".join(f":{column}" for column in names)
    database.execute(
        f"INSERT INTO routing_rules ({', '.join(names)}) VALUES ({values})",
        name=name,
        pattern=pattern,
        agent_name="agent",
        **columns,
    )


def fresh(connection: Connection, book: RuleBook) -> RuleBook:
    """Follow from a transaction of its own, as each batch of webhooks does."""
    connection.rollback()
    return follow(connection, book)


def matched(book: RuleBook) -> list[str]:
    return [rule.name for rule in evaluate(book, make_event(JOIN)).matched]


def test_an_empty_database_is_an_empty_book(connection: Connection) -> None:
    book = read_book(connection)
    assert (book.version, list(book.rules), dict(book.bad)) == (0, [], {})
    assert matched(book) == []


def test_a_rule_has_the_defaults_of_the_database(database: Database, connection: Connection) -> None:
    insert(database, "support", '{"room": {"name": [{"prefix": "support-"}]}}')
    (rule,) = read_book(connection).rules
    assert rule.pattern == {"room": {"name": [{"prefix": "support-"}]}}
    assert (rule.priority, rule.enabled, rule.scope, rule.on_match) == (100, True, "room", "stop")
    assert (rule.metadata, rule.attributes, rule.deployment, rule.active_hours) == (None, None, None, None)
    assert (rule.rollout_percent, rule.rollout_key, rule.timezone) == (100, "participant.identity", "UTC")
    assert (rule.answer_timeout_s, rule.max_attempts, rule.recover, rule.withdraw) == (15, 3, "never", True)


def test_following_sees_every_kind_of_edit_and_only_edits(database: Database, connection: Connection) -> None:
    insert(database, "first", '{"room": {"name": ["support-1"]}}')
    book = read_book(connection)
    assert matched(book) == ["first"]
    assert fresh(connection, book) is book

    insert(database, "urgent", '{"room": {"name": [{"prefix": "support"}]}}', priority=1)
    book = fresh(connection, book)
    assert matched(book) == ["urgent"]
    assert [rule.name for rule in book.rules] == ["urgent", "first"]

    database.execute("UPDATE routing_rules SET priority = 200, agent_name = 'other' WHERE name = 'urgent'")
    book = fresh(connection, book)
    assert matched(book) == ["first"]
    assert [rule.agent_name for rule in book.rules] == ["agent", "other"]

    database.execute("DELETE FROM routing_rules WHERE name = 'first'")
    book = fresh(connection, book)
    assert matched(book) == ["urgent"]
    assert book.version == read_version(connection)
    assert fresh(connection, book) is book


def test_many_edits_at_once_are_followed(database: Database, connection: Connection) -> None:
    book = read_book(connection)
    for number in range(3):
        insert(database, f"seed {number}", '{"room": {"name": ["x"]}}')
    doubling = (
        "INSERT INTO routing_rules (name, pattern, agent_name) "
        "SELECT name || '+' || :round, pattern, agent_name FROM routing_rules"
    )
    for round_ in range(9):
        database.execute(doubling, round=str(round_))
    book = fresh(connection, book)
    assert len(book.rules) == 3 * 2**9
    assert list(book.rules) == list(read_book(connection).rules)


BAD = {
    "not an object": '"text"',
    "no such match type": '{"room": {"name": [{"prefixx": "a"}]}}',
    "empty list": '{"room": {"name": []}}',
    "a number": "5",
}


@pytest.mark.parametrize("pattern", BAD.values(), ids=BAD)
def test_a_bad_pattern_disturbs_no_other_rule(database: Database, connection: Connection, pattern: str) -> None:
    insert(database, "good", '{"room": {"name": ["support-1"]}}')
    insert(database, "bad", pattern, priority=1)
    book = read_book(connection)
    assert matched(book) == ["good"]
    ((rule_id, bad),) = book.bad.items()
    assert (bad.id, bad.name) == (rule_id, "bad")
    assert all(problem.path.startswith("pattern") for problem in bad.problems)

    database.execute(
        "UPDATE routing_rules SET pattern = :good WHERE name = 'bad'", good='{"event": [{"exists": true}]}'
    )
    book = fresh(connection, book)
    assert not book.bad
    assert matched(book) == ["bad"]

    database.execute("UPDATE routing_rules SET pattern = :bad WHERE name = 'good'", bad=pattern)
    book = fresh(connection, book)
    assert [bad.name for bad in book.bad.values()] == ["good"]
    database.execute("DELETE FROM routing_rules WHERE name = 'good'")
    assert not fresh(connection, book).bad


def test_settings_that_cannot_be_used_make_a_bad_row(database: Database, connection: Connection) -> None:
    pattern = '{"room": {"name": ["support-1"]}}'
    insert(database, "hours", pattern, active_hours="Mo-Fr 99:00")
    insert(database, "zone", pattern, timezone="Mars/Olympus")
    insert(database, "template", pattern, metadata='{"$eval": "participant..name"}')
    insert(database, "attributes", pattern, attributes='{"team": 5}')
    insert(database, "country", pattern, holidays="XX")
    book = read_book(connection)
    assert matched(book) == []
    found = {
        bad.name: {problem.path.split(".")[0].split("[")[0] for problem in bad.problems} for bad in book.bad.values()
    }
    assert found == {
        "hours": {"active_hours"},
        "zone": {"timezone"},
        "template": {"metadata"},
        "attributes": {"attributes"},
        "country": {"holidays"},
    }


@pytest.mark.parametrize("text", ["{oops", "", "{'room': {}}", "NaN", "12", "x" * 300])
def test_text_that_is_no_json_is_only_a_bad_row(sqlite_database: Database, text: str) -> None:
    insert(sqlite_database, "good", '{"room": {"name": ["support-1"]}}')
    insert(sqlite_database, "broken", text)
    insert(sqlite_database, "broken metadata", '{"room": {"name": ["support-1"]}}', metadata=text + "{")
    with sqlite_database.reader_engine().connect() as connection:
        book = read_book(connection)
        assert matched(book) == ["good"]
        assert {bad.name for bad in book.bad.values()} == {"broken", "broken metadata"}
        assert matched(book_at(connection, book.version)) == ["good"]


def parsed(rules: Iterable[Rule]) -> list[tuple[Any, ...]]:
    """Return all that rules say; the texts of their templates have the spaces that the database has."""
    return [
        (
            one._replace(metadata_text=None, attributes_text=None, fallbacks_text=None),
            one.metadata,
            one.attributes,
            one.fallbacks,
        )
        for one in rules
    ]


def test_a_book_can_be_had_as_it_was(database: Database, connection: Connection) -> None:
    insert(database, "first", '{"room": {"name": ["support-1"]}}', metadata='{"lang": "es"}')
    first = read_book(connection)
    database.execute("UPDATE routing_rules SET agent_name = 'other', metadata = NULL")
    second = fresh(connection, first)
    insert(database, "urgent", '{"room": {"name": ["support-1"]}}', priority=1)
    third = fresh(connection, second)
    database.execute("DELETE FROM routing_rules")
    fourth = fresh(connection, third)
    assert len({first.version, second.version, third.version, fourth.version}) == 4
    for book in (first, second, third, fourth):
        then = book_at(connection, book.version)
        assert then.version == book.version
        assert parsed(then.rules) == parsed(book.rules)
        assert matched(then) == matched(book)
    assert list(book_at(connection, 0).rules) == []


@pytest.mark.parametrize("column", ["pattern", "metadata", "attributes", "fallbacks"])
def test_text_that_is_no_json_is_recorded_apart_from_a_json_string(sqlite_database: Database, column: str) -> None:
    documents = {"pattern": "{}", column: "hello"}
    pattern = documents.pop("pattern")
    insert(sqlite_database, "slip", pattern, **documents)
    with sqlite_database.reader_engine().connect() as connection:
        book = read_book(connection)
        assert [problem.message[:11] for problem in book.bad[1].problems] == ["is not JSON"]
        # The correction is an edit, although the text of the JSON string is the same.
        sqlite_database.execute(f"""UPDATE routing_rules SET {column} = '"hello"'""")
        corrected = fresh(connection, book)
        assert corrected.version > book.version
        assert [rule.metadata for rule in corrected.rules] == (["hello"] if column == "metadata" else [])
        # The book as it was still has a rule that cannot be used.
        then = book_at(connection, book.version)
        assert list(then.rules) == []
        assert [(one.path, one.message[:11]) for one in then.bad[1].problems] == [(column, "is not JSON")]


@pytest.mark.parametrize("paused_until", ["infinity", "-infinity", "0044-03-15 BC", "99999-01-01", "2026-12-24"])
def test_any_pause_of_postgresql_is_the_same_in_the_history(postgres_database: Database, paused_until: str) -> None:
    insert(postgres_database, "pausing", '{"room": {"name": ["support-1"]}}', paused_until=paused_until)
    with postgres_database.reader_engine().connect() as connection:
        book = read_book(connection)
        then = book_at(connection, book.version)
        assert parsed(then.rules) == parsed(book.rules)
        assert matched(then) == matched(book) == ([] if paused_until[0] in "29i" else ["pausing"])


def test_another_database_in_its_place_is_read_again(database: Database, connection: Connection) -> None:
    insert(database, "only", '{"room": {"name": ["support-1"]}}')
    ahead = RuleBook.build([], 10_000)
    book = follow(connection, ahead)
    assert book.version == read_version(connection)
    assert matched(book) == ["only"]
