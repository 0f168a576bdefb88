"""Transactions that people leave open on PostgreSQL: an edit that needs what they hold fails alone, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, select, text

from app.accounts.roles import Role
from app.accounts.users import add_user
from app.db.tables import rule_editor
from app.db.transaction import GIVE_WAY_MS
from app.db.writer import Writer
from app.errors import LockHeldError
from app.incidents.messages.subscription import read_endpoints
from app.rules.editing.edit_rule import create_rule
from tests.conftest import Database

RULE = {"name": "all", "pattern": {}, "agent_name": "sales"}


@pytest.fixture
async def writer(postgres_database: Database) -> AsyncIterator[Writer]:
    writer = Writer(postgres_database.writer_engine())
    yield writer
    await writer.close()


@contextmanager
def left_open(database: Database, *statements: str) -> Iterator[None]:
    """Hold what the statements lock, as a shell in which nobody has typed COMMIT."""
    with database.writer_engine().connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        yield
        connection.rollback()


def put_all(connection: Connection, names: Sequence[str]) -> list[str]:
    connection.execute(rule_editor.insert(), [{"name": name} for name in names])
    return [*names]


def lock_timeout_ms(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'").scalar_one())


async def test_an_edit_that_waits_for_the_edit_of_another_program_fails_alone(
    writer: Writer, postgres_database: Database
) -> None:
    postgres_database.execute("""INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('one', '{}', 'sales')""")
    with left_open(postgres_database, "UPDATE routing_rules SET priority = 7"):
        saved, *webhooks = await asyncio.gather(
            writer.run(lambda connection: create_rule(connection, RULE, "ana"), gives_way=True),
            *(writer.run_batched(put_all, name) for name in ("a", "b")),
            return_exceptions=True,
        )
        assert webhooks == ["a", "b"]
        assert isinstance(saved, LockHeldError)
        assert "another transaction holds what it needs and has not ended" in str(saved)
        assert writer.trouble() == ""
    stored = await writer.run(lambda connection: create_rule(connection, RULE, "ana"), gives_way=True)
    assert stored.row["name"] == "all"


async def test_units_wait_for_locks_as_long_as_others_may_wait_behind_them(writer: Writer) -> None:
    giving_way, patient = await asyncio.gather(writer.run(lock_timeout_ms, gives_way=True), writer.run(lock_timeout_ms))
    assert (giving_way, patient) == (GIVE_WAY_MS, 3000)
    assert await writer.run(lock_timeout_ms) == 3000


async def test_many_units_that_need_what_one_program_holds_wait_for_it_once(
    writer: Writer, postgres_database: Database
) -> None:
    waits: list[int] = []

    def change(connection: Connection) -> None:
        waits.append(lock_timeout_ms(connection))
        connection.execute(text("UPDATE users SET disabled = true"))

    with postgres_database.writer_engine().begin() as connection:
        add_user(connection, "ana", Role.VIEWER, by="x", now=datetime(2026, 11, 27, tzinfo=UTC))
    with left_open(postgres_database, "UPDATE users SET role = 'editor'"):
        edits = (writer.run(change, gives_way=True) for _ in range(4))
        outcomes = await asyncio.gather(*edits, return_exceptions=True)
    assert [type(one) for one in outcomes] == [LockHeldError] * 4
    assert sum(waits) < 2 * GIVE_WAY_MS


async def test_a_webhook_does_not_wait_for_the_end_of_a_subscription_that_is_about_to_be_deleted(
    postgres_database: Database,
) -> None:
    for name in ("erp", "crm"):
        postgres_database.execute(
            "INSERT INTO webhook_subscriptions (id, name, url, secret)"
            " VALUES (:name, :name, 'https://x.test', 'whsec_x')",
            name=name,
        )
    with postgres_database.writer_engine().begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = 1"))
        with left_open(postgres_database, "DELETE FROM webhook_subscriptions WHERE id = 'erp'"):
            assert [one.id for one in read_endpoints(connection, locked=True)] == ["crm"]
            assert connection.scalar(select(1)) == 1
        with left_open(postgres_database, "UPDATE webhook_subscriptions SET enabled = false"):
            assert [one.id for one in read_endpoints(connection, locked=True)] == ["crm", "erp"]
