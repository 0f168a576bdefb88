"""The first admin is made once, also by replicas that start at the same moment."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import httpx2
import pytest

from app.accounts.password import verify_password
from app.accounts.signing_key import signing_key
from app.accounts.users import User, add_first_admin
from app.errors import SettingsError
from app.settings import Settings, read_settings
from app.wiring import Service, service
from tests.conftest import Database

PASSWORD = "correct horse battery"
NOW = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)


def settings_of(database: Database, **more: str) -> Settings:
    return read_settings(
        {
            "LIVEKIT_URL": "http://127.0.0.1:9",
            "LIVEKIT_API_KEY": "key",
            "LIVEKIT_API_SECRET": "a secret of at least thirty-two bytes",
            "DATABASE_URL": database.text,
            "USHER_SWEEP_INTERVAL": "0",
            **more,
        }
    )


def test_the_second_of_two_transactions_finds_the_admin_of_the_first(database: Database) -> None:
    with database.writer_engine().begin() as connection:
        signing_key(connection, NOW)
    first_has_added, second_is_done = threading.Event(), threading.Event()

    def first() -> User | None:
        with database.writer_engine().begin() as connection:
            added = add_first_admin(connection, "maria", "hash", by="link", now=NOW)
            first_has_added.set()
            assert not second_is_done.wait(0.5), "the second must wait for this commit"
            return added

    def second() -> User | None:
        assert first_has_added.wait(30)
        with database.writer_engine().begin() as connection:
            added = add_first_admin(connection, "mallory", "hash", by="link", now=NOW)
        second_is_done.set()
        return added

    with ThreadPoolExecutor(2) as threads:
        results = [future.result(60) for future in (threads.submit(first), threads.submit(second))]
    assert results[0] is not None
    assert results[1] is None
    assert [row["name"] for row in database.execute("SELECT name FROM users")] == ["maria"]


async def test_replicas_that_start_together_add_the_admin_of_the_settings_once(postgres_database: Database) -> None:
    settings = settings_of(postgres_database, USHER_FIRST_ADMIN_PASSWORD=PASSWORD, USHER_FIRST_ADMIN_NAME="maria")
    async with AsyncExitStack() as stack:
        replicas = [service(settings) for _ in range(3)]
        started = await asyncio.gather(*(stack.enter_async_context(replica) for replica in replicas))
    assert [one.first_admin_path for one in started] == [""] * 3
    [row] = postgres_database.execute("SELECT * FROM users")
    assert (row["name"], row["role"]) == ("maria", "admin")
    assert verify_password(PASSWORD, row["password_hash"])


async def test_the_link_of_two_replicas_adds_one_admin(postgres_database: Database) -> None:
    settings = settings_of(postgres_database)
    async with service(settings) as one, service(settings) as other:
        assert one.first_admin_path == other.first_admin_path or one.key == other.key
        answers = await asyncio.gather(
            *(_add(replica, one.first_admin_path, name) for replica, name in ((one, "maria"), (other, "mallory")))
        )
    assert sorted(answers) == [303, 409]
    assert len(postgres_database.execute("SELECT * FROM users")) == 1


async def _add(replica: Service, path: str, name: str) -> int:
    transport = httpx2.ASGITransport(app=replica.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://usher.test") as client:
        page = await client.get(path)
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "name": name, "password": PASSWORD, "repeated": PASSWORD}
        return (await client.post(path, data=form)).status_code


async def test_an_admin_of_the_settings_changes_nothing_once_there_is_a_user(sqlite_database: Database) -> None:
    async with service(settings_of(sqlite_database, USHER_FIRST_ADMIN_PASSWORD=PASSWORD)):
        pass
    before = sqlite_database.execute("SELECT * FROM users")
    assert [row["name"] for row in before] == ["admin"]
    later = settings_of(sqlite_database, USHER_FIRST_ADMIN_PASSWORD="short", USHER_FIRST_ADMIN_NAME="mallory")
    async with service(later):
        pass
    assert sqlite_database.execute("SELECT * FROM users") == before


@pytest.mark.parametrize(
    ("more", "setting"),
    [
        ({"USHER_FIRST_ADMIN_PASSWORD": "short"}, "USHER_FIRST_ADMIN_PASSWORD"),
        ({"USHER_FIRST_ADMIN_PASSWORD": "password1234"}, "USHER_FIRST_ADMIN_PASSWORD"),
        ({"USHER_FIRST_ADMIN_PASSWORD": PASSWORD, "USHER_FIRST_ADMIN_NAME": "a  b"}, "USHER_FIRST_ADMIN_NAME"),
    ],
)
async def test_an_admin_that_cannot_be_added_is_reported_at_the_start(
    sqlite_database: Database, more: dict[str, str], setting: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        async with service(settings_of(sqlite_database, **more)):
            pass
    assert [problem.path for problem in raised.value.problems] == [setting]
    assert "password1234" not in str(raised.value)
