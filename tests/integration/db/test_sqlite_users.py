"""A SQLite database that has users is known to have had them, whatever becomes of its file and whoever added them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from app.accounts.roles import Role
from app.accounts.users import add_user
from app.db.engine import watch_storage
from app.db.engine.sqlite_claim import SqliteClaim, claim_database, had_users
from app.db.writer import Writer
from app.errors import ConflictError, DatabaseUnavailableError
from tests.conftest import Database


def add_ana(connection: Connection) -> None:
    add_user(connection, "ana", Role.ADMIN, by="test", now=datetime(2026, 1, 1, tzinfo=UTC))


class Serving:
    """What a serving process has of a database."""

    def __init__(self, database: Database) -> None:
        self.path = Path(database.url.database or "")
        self.claim: SqliteClaim = claim_database(database.url)
        self.claim.prepare()
        engine = database.writer_engine()
        self.writer = Writer(engine)
        watch_storage(engine, self.claim.remember)

    def had_users(self) -> bool:
        return had_users(Path(f"{self.path}.serving").read_text())


@pytest.fixture
def serving(sqlite_database: Database) -> Iterator[Serving]:
    serving = Serving(sqlite_database)
    yield serving
    serving.claim.close()


def next_start(database: Database) -> SqliteClaim:
    """Return what the next process that serves it knows."""
    claim = claim_database(database.url)
    claim.close()
    return claim


def overwrite(path: Path) -> None:
    path.write_bytes(b"another file")


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def move(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.rename(file.with_name(f"moved-{file.name}"))


def move_alone(path: Path) -> None:
    path.rename(path.with_name("moved"))


@pytest.mark.parametrize("spoil", [overwrite, remove, move, move_alone])
async def test_the_first_user_is_known_of_as_soon_as_it_is_added(
    sqlite_database: Database, serving: Serving, spoil: Callable[[Path], None]
) -> None:
    assert not serving.had_users()
    await serving.writer.run(add_ana)
    assert serving.had_users()
    spoil(serving.path)
    with pytest.raises(DatabaseUnavailableError):
        await serving.writer.run(lambda _: None)
    serving.claim.close()  # also when it is killed
    claim = next_start(sqlite_database)
    assert claim.had_users
    await serving.writer.close()
    if spoil is not overwrite:
        with pytest.raises(ConflictError, match="it had users"):
            claim.prepare()


async def test_a_user_that_another_process_adds_is_known_of(
    sqlite_database: Database, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Writer(sqlite_database.writer_engine())
    await command.run(add_ana)
    await command.close()
    assert serving.had_users()
    # And stays known when the serving process stores its numbers
    monkeypatch.setattr("app.db.engine.sqlite_stamps.NEW_EVERY_S", 0.0)
    for _ in range(3):
        await serving.writer.run(lambda _: None)
        assert serving.had_users()
    await serving.writer.close()
    serving.claim.close()
    stamps = next_start(sqlite_database)
    assert stamps.had_users


async def test_a_user_whose_transaction_fails_is_not_known_of(serving: Serving) -> None:
    def unit(connection: Connection) -> None:
        add_ana(connection)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await serving.writer.run(unit)
    await serving.writer.close()
    assert not serving.had_users()


async def test_a_user_added_with_sql_is_known_of_after_a_clean_stop(
    sqlite_database: Database, serving: Serving
) -> None:
    with closing(sqlite3.connect(serving.path)) as shell:
        shell.execute(
            "INSERT INTO users (id, name, role, password_hash, disabled, session_epoch, created_at)"
            " VALUES ('1', 'ana', 'admin', '', 0, 0, '2026-01-01 00:00:00')"
        )
        shell.commit()
    assert not serving.had_users()
    await serving.writer.close()
    assert serving.had_users()
    serving.claim.close()
    assert next_start(sqlite_database).had_users


async def test_a_lock_file_that_is_removed_is_made_again(
    sqlite_database: Database, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.engine.sqlite_stamps.NEW_EVERY_S", 0.0)
    await serving.writer.run(add_ana)
    shutil.move(f"{serving.path}.serving", f"{serving.path}.moved")
    await serving.writer.run(lambda _: None)
    with pytest.raises(ConflictError, match="another usher serve runs"):
        claim_database(sqlite_database.url)
    assert serving.had_users()
    await serving.writer.close()
