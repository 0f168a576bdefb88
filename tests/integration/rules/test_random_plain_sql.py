"""Random edits by plain SQL: the book that follows them is the one read anew, and the one that the history has.

Found: on SQLite, text that is not JSON and the JSON string of that text were one value to the history, so that the
correction of a rule was not followed; on PostgreSQL, a rule paused until `infinity` was unusable in the history.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from app.db.rule_columns import RULE_COLUMNS
from app.rules import RuleBook
from app.rules.book.read_book import book_at, follow, read_book
from tests.conftest import Database

COLUMNS: Final = tuple(column.name for column in RULE_COLUMNS)
VALUES: Final = (
    "NULL", "0", "1", "-1", "2.5", "50", "9223372036854775807", "''", "' '", "'x'", "'x y'", "'1'", "'true'", "'1e999'",
    "'{}'", "'[]'", "'null'", "'{'", "'\"x\"'", "'{\"a\": [1]}'", "'{\"a\": [1], \"a\": [2]}'", "'[\"a\"]'", "'[null]'",
    "'{\"participant\": {\"identity\": [\"ana\"]}}'", "'{\"$eval\": \"absent\"}'", "'{\"$eval\": \"rule.name\"}'",
    "'ignore'", "'remove'", "'transfer'", "'tel:+34911222333'", "'room'", "'participant'", "'continue'", "'lost'",
    "'Europe/Madrid'", "'DE'", "'Mo-Fr 09:00-18:00'", "'Mo-Fr 9-18'", "'2026-12-24T18:00:00Z'", "'2026-12-24 18:00'",
)  # fmt: skip
OF_SQLITE: Final = ("x'00ff'", "char(0)", "9e999", "'tomorrow'", "CAST(x'22f122' AS TEXT)")
OF_POSTGRESQL: Final = (
    "true",
    "'infinity'",
    "'-infinity'",
    "'0044-03-15 BC'",
    "'99999-01-01'",
    "'NaN'",
    "now()",
    "1e-320",
)


def random_edit(random: Random, number: int, values: tuple[str, ...]) -> str:
    column, value = random.choice(COLUMNS), random.choice(values)
    some = f"id % 3 = {random.randrange(3)}"
    match random.randrange(6):
        case 0 | 1 | 2:
            given = {"name": f"'rule {number}'", "pattern": "'{}'", "agent_name": "'agent'", column: value}
            return f"INSERT INTO routing_rules ({', '.join(given)}) VALUES ({', '.join(given.values())})"
        case 3 | 4:
            return f"UPDATE routing_rules SET {column} = {value} WHERE {some}"
        case _:
            return random.choice(
                [f"DELETE FROM routing_rules WHERE {some}", f"UPDATE routing_rules SET id = id + 50 WHERE {some}"]
            )


def tried(engine: Engine, statement: str, *, keep: bool) -> bool:
    """Execute one edit and commit it, or roll it back; return whether the database took it."""
    with engine.connect() as connection:
        try:
            connection.exec_driver_sql(
                statement.replace("%", "%%") if engine.dialect.name == "postgresql" else statement
            )
        except DBAPIError:
            return False
        connection.commit() if keep else connection.rollback()
        return True


def content(book: RuleBook) -> tuple[list[Any], list[tuple[int, set[str]]]]:
    """Return all that the usable rules say, and which columns of each other one are wrong."""
    usable = [
        (one._replace(metadata_text=None, attributes_text=None, fallbacks_text=None, hours=None),
         str(one.hours), one.metadata, one.attributes, one.fallbacks)
        for one in book.rules
    ]  # fmt: skip
    wrong = sorted(
        (one.id, {problem.path.partition(".")[0].partition("[")[0] for problem in one.problems})
        for one in book.bad.values()
    )
    assert all(columns and columns <= set(COLUMNS) for _, columns in wrong)
    return usable, wrong


@pytest.mark.parametrize("seed", range(4))
def test_books_followed_read_and_recorded_are_the_same(database: Database, seed: int) -> None:
    random = Random(seed)
    values = VALUES + (OF_POSTGRESQL if database.kind == "postgresql" else OF_SQLITE)
    engine = database.writer_engine()
    with engine.connect() as connection:
        book = read_book(connection)
    taken = bad = 0
    for number in range(120):
        statement = random_edit(random, number, values)
        taken += tried(engine, statement, keep=random.random() < 0.9)
        with engine.connect() as connection:
            book = follow(connection, book)
            fresh, then = read_book(connection), book_at(connection, book.version)
        assert content(book) == content(fresh), statement
        # Of a rule with text that is not JSON, the history names other columns, too.
        assert (content(then)[0], then.bad.keys()) == (content(fresh)[0], fresh.bad.keys()), statement
        bad = max(bad, len(book.bad))
    assert taken > 40
    assert bad
