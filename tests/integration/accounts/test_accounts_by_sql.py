"""Accounts that somebody has changed by plain SQL: odd values cost nobody the lists, and permit nothing more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection

from app.accounts.roles import Role
from app.accounts.sessions import SessionLimits, find_session, list_sessions, start_session
from app.accounts.tokens import find_bearer, issue_token, list_tokens
from app.accounts.users import add_user, list_users
from tests.conftest import Database, StillClock

LIMITS = SessionLimits(idle=timedelta(hours=12), lifetime=timedelta(days=7))


@pytest.fixture
def now(clock: StillClock) -> datetime:
    return clock.now()


@pytest.fixture
def secret(database: Database, now: datetime) -> str:
    """The secret of a token of the user `ana`."""
    with database.writer_engine().begin() as connection:
        user = add_user(connection, "ana", Role.VIEWER, by="x", now=now)
        return issue_token(connection, user.id, "erp", Role.VIEWER, by="x", now=now)[1]


def read(database: Database) -> Connection:
    return database.reader_engine().connect()


@pytest.mark.parametrize("end", ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])
def test_times_beyond_those_of_python_can_be_read(postgres_database: Database, now: datetime, end: str) -> None:
    with postgres_database.writer_engine().begin() as connection:
        user = add_user(connection, "ana", Role.VIEWER, by="x", now=now)
        secret = issue_token(connection, user.id, "erp", Role.VIEWER, by="x", now=now)[1]
        cookie = start_session(connection, user, now=now, limits=LIMITS)[1]
    is_over = end in {"-infinity", "4713-01-01 BC"}
    for column in ("expires_at", "created_at", "last_used_at"):
        postgres_database.execute(f"UPDATE api_tokens SET {column} = '{end}'")
    for column in ("created_at", "last_seen_at", "expires_at", "password_checked_at"):
        postgres_database.execute(f"UPDATE sessions SET {column} = '{end}'")
    for column in ("created_at", "last_login_at"):
        postgres_database.execute(f"UPDATE users SET {column} = '{end}'")
    with read(postgres_database) as connection:
        assert [one.name for one in list_users(connection)] == ["ana"]
        assert [one.is_valid(now) for one in list_tokens(connection)] == [not is_over]
        assert (find_bearer(connection, secret, now) is None) == is_over
        assert [one.user_name for one in list_sessions(connection, now, LIMITS)] == ([] if is_over else ["ana"])
        assert (find_session(connection, cookie, now, LIMITS) is None) == is_over


@pytest.mark.parametrize("stored", ['"clinic"', "{}", '{"clinic": 1}', "true", "7", "[null, 7]", "[]"])
def test_a_restriction_that_is_no_list_of_names_permits_nothing(
    database: Database, secret: str, now: datetime, stored: str
) -> None:
    for table in ("users", "api_tokens"):
        database.execute(f"UPDATE {table} SET projects = :stored", stored=stored)
        with read(database) as connection:
            assert [one.name for one in list_users(connection)] == ["ana"]
            assert [one.name for one in list_tokens(connection)] == ["erp"]
            bearer = find_bearer(connection, secret, now)
            assert bearer is not None
            assert bearer.projects == frozenset()
        database.execute(f"UPDATE {table} SET projects = NULL")


def test_what_sqlite_cannot_read_permits_nothing(sqlite_database: Database, now: datetime) -> None:
    with sqlite_database.writer_engine().begin() as connection:
        user = add_user(connection, "ana", Role.VIEWER, by="x", now=now)
        secret = issue_token(connection, user.id, "erp", Role.VIEWER, by="x", now=now)[1]
    sqlite_database.execute("UPDATE users SET projects = 'clinic', created_at = 'yesterday', last_login_at = 7")
    with read(sqlite_database) as connection:
        bearer = find_bearer(connection, secret, now)
        assert bearer is not None
        assert bearer.projects == frozenset()
        assert [one.name for one in list_users(connection)] == ["ana"]
    for column in ("expires_at", "revoked_at"):
        sqlite_database.execute(f"UPDATE api_tokens SET {column} = 'soon'")
        with read(sqlite_database) as connection:
            assert [one.is_valid(now) for one in list_tokens(connection)] == [False]
            assert find_bearer(connection, secret, now) is None
        sqlite_database.execute(f"UPDATE api_tokens SET {column} = NULL")
