"""The file of a SQLite database: flushed where it really is, and missed when it is not in its place."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.engine import make_url

from app.db.engine import create_writer_engine
from app.db.tables import rule_editor
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError
from tests.conftest import Database


def put(connection: Connection) -> None:
    connection.execute(insert(rule_editor).values(name="x"))


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were flushed."""
    files: list[str] = []

    def sync(descriptor: int) -> None:
        os.fsync(descriptor)
        files.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr("app.db.engine.sqlite_file._sync", sync)
    return files


async def test_the_log_next_to_the_target_of_a_link_is_flushed(
    sqlite_database: Database, tmp_path: Path, flushed: list[str]
) -> None:
    link = tmp_path / "usher.db"
    link.symlink_to(sqlite_database.url.database or "")
    writer = Writer(create_writer_engine(make_url(f"sqlite:///{link}")))
    await writer.run(put)
    await writer.close()
    assert flushed == [f"{sqlite_database.url.database}-wal"]


async def test_a_missing_log_is_an_error(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    log = Path(f"{sqlite_database.url.database}-wal")
    log.unlink()  # noqa: ASYNC240 - nothing else runs
    with pytest.raises(DatabaseUnavailableError, match=r"No such file or directory: .*-wal"):
        await writer.run(put)
    await writer.close()


async def test_without_a_log_the_commit_flushes(
    sqlite_database: Database, flushed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a file system on which SQLite cannot share memory, so that it keeps its journal
    monkeypatch.setattr("app.db.engine.sqlite.JOURNAL_MODE", "DELETE")
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    assert await writer.run(lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar()) == 2  # FULL
    await writer.close()
    assert flushed == []


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def replace(path: Path) -> None:
    move(path)
    shutil.copy(path.with_suffix(".moved"), path)


def point_elsewhere(path: Path) -> None:
    """Replace it by a link to another database."""
    replace(path)
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


@pytest.mark.parametrize(
    ("displace", "message"),
    [
        (move, "was moved or removed"),
        (replace, "was replaced by another"),
        (point_elsewhere, "was replaced by another"),
    ],
)
async def test_a_file_that_is_not_in_its_place_takes_no_writes(
    sqlite_database: Database, displace: Callable[[Path], None], message: str
) -> None:
    path = Path(sqlite_database.url.database or "")
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    displace(path)
    with pytest.raises(DatabaseUnavailableError, match=message):
        await writer.run(put)

    # And once it is back, it takes them again
    path.with_suffix(".moved").replace(path)
    await writer.run(put)
    await writer.close()
    assert len(sqlite_database.execute("SELECT 1 FROM rule_editor")) == 2


async def test_commits_go_on_without_a_free_descriptor(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)

    # Given every descriptor of the process in use
    lowest = os.dup(0)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        await writer.run(put)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    await writer.close()
    assert len(sqlite_database.execute("SELECT 1 FROM rule_editor")) == 2


async def test_a_log_that_sqlite_created_again_is_flushed(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    inodes: list[int] = []
    monkeypatch.setattr("app.db.engine.sqlite_file._sync", lambda log: inodes.append(os.fstat(log).st_ino))
    log = Path(f"{sqlite_database.url.database}-wal")
    engine = sqlite_database.writer_engine()
    writer = Writer(engine)
    await writer.run(put)
    first = log.stat().st_ino  # noqa: ASYNC240 - nothing else runs
    engine.pool.dispose()  # closes the last connection: SQLite removes the log
    assert not log.exists()  # noqa: ASYNC240
    other = log.with_suffix(".other")
    other.touch()  # so that the next log gets another inode
    await writer.run(put)
    assert inodes == [first, log.stat().st_ino]  # noqa: ASYNC240
    await writer.close()


async def test_a_closed_writer_keeps_no_log_open(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    await writer.close()
    open_files = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]  # noqa: ASYNC240
    assert [path for path in open_files if path.startswith(f"{sqlite_database.url.database}-wal")] == []
