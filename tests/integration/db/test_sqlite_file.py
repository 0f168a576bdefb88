"""The file of a SQLite database: flushed where it really is, and missed when it is not in its place."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.engine import make_url

from app.db import schema
from app.db.engine import create_writer_engine, watch_storage
from app.db.engine.sqlite_claim import claim_database
from app.db.engine.sqlite_file import SqliteFile
from app.db.engine.sqlite_stamps import read_stamp
from app.db.tables import rule_editor
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError
from tests.conftest import Database
from tests.harness.proc import open_files


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


@pytest.mark.parametrize("name", ["usher.db-wal", "usher.db-shm"])
async def test_without_a_file_beside_the_database_nothing_is_written(sqlite_database: Database, name: str) -> None:
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    sidecar = Path(sqlite_database.url.database or "").with_name(name)
    sidecar.rename(f"{sidecar}.moved")
    with pytest.raises(DatabaseUnavailableError, match=f"{name} was moved or removed"):
        await writer.run(put)
    sidecar.write_bytes(b"")  # as another program does that opens the database
    with pytest.raises(DatabaseUnavailableError, match=f"{name} was replaced by another"):
        await writer.run(put)
    Path(f"{sidecar}.moved").replace(sidecar)  # noqa: ASYNC240 - nothing else runs
    await writer.run(put)
    await writer.close()


async def test_what_a_removed_log_held_is_saved(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    path = Path(sqlite_database.url.database or "")
    Path(f"{path}-wal").unlink()  # noqa: ASYNC240 - nothing else runs
    with pytest.raises(DatabaseUnavailableError, match="was moved or removed"):
        await writer.run(put)
    # Then the file alone has it, as after kill -9
    copy = shutil.copy(path, path.with_suffix(".copy"))
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM rule_editor").fetchone() == (1,)
    await writer.close()


async def test_a_log_that_was_emptied_is_noticed(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database.writer_engine())
    await writer.run(put)
    os.truncate(f"{sqlite_database.url.database}-wal", 0)
    with pytest.raises(DatabaseUnavailableError, match=r"usher\.db-wal was overwritten or truncated"):
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
    assert [path for path in open_files() if path.startswith(f"{sqlite_database.url.database}-wal")] == []


class Watched:
    """A writer that watches the content of its file, and what it remembers for the next process."""

    def __init__(self, database: Database) -> None:
        self.path = Path(database.url.database or "")
        self.engine = database.writer_engine()
        self.writer = Writer(self.engine)
        self.remembered: list[int] = []
        watch_storage(self.engine, self.remembered.extend)

    def checkpoint(self) -> None:
        """Do what another program does that has the database open."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def copy(self) -> Path:
        """Make a backup with SQLite's own means."""
        backup = self.path.with_suffix(".backup")
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        return backup


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def fill_with_noise(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(65536))


def put_another(path: Path) -> None:
    other = path.with_suffix(".other")
    schema.upgrade(make_url(f"sqlite:///{other}"))
    path.write_bytes(other.read_bytes())


def restore_as_if_stopped(path: Path) -> None:
    """Do what is right while nothing has the database open: remove its log, and copy a backup there."""
    Path(f"{path}-wal").unlink()
    Path(f"{path}-shm").unlink()
    put_another(path)


@pytest.mark.parametrize("overwrite", [truncate, empty, fill_with_noise, put_another, restore_as_if_stopped])
async def test_an_overwritten_file_takes_no_writes(
    sqlite_database: Database, overwrite: Callable[[Path], None]
) -> None:
    watched = Watched(sqlite_database)
    await watched.writer.run(put)
    overwrite(watched.path)
    content = watched.path.read_bytes()
    with pytest.raises(DatabaseUnavailableError, match=r"usher\.db was overwritten"):
        await watched.writer.run(put)
    # And the end of this process changes nothing in it
    await watched.writer.close()
    assert watched.path.read_bytes() == content
    log = Path(f"{watched.path}-wal.set-aside-1")
    assert log.stat().st_size > 0  # noqa: ASYNC240 - nothing else runs


async def test_a_backup_copied_over_the_file_is_noticed_after_the_next_checkpoint(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.engine.sqlite_stamps.NEW_EVERY_S", 0.0)
    watched = Watched(sqlite_database)
    await watched.writer.run(put)
    backup = watched.copy()
    await watched.writer.run(put)
    watched.checkpoint()
    await watched.writer.run(put)
    watched.path.write_bytes(backup.read_bytes())
    with pytest.raises(DatabaseUnavailableError, match="overwritten by another program"):
        await watched.writer.run(put)
    await watched.writer.close()


async def test_checkpoints_of_anybody_are_no_trouble(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in (0.0, 10.0):
        monkeypatch.setattr("app.db.engine.sqlite_stamps.NEW_EVERY_S", seconds)
        watched = Watched(sqlite_database)
        for _ in range(5):
            await watched.writer.run(put)
            sqlite_database.execute("INSERT INTO rule_editor (name) VALUES ('by another process')")
            watched.checkpoint()
            os.utime(watched.path)
        with closing(sqlite3.connect(watched.path, isolation_level=None)) as shell:
            shell.execute("VACUUM")
            shell.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await watched.writer.run(put)
        await watched.writer.close()
    assert len(sqlite_database.execute("SELECT 1 FROM rule_editor")) == 22


async def test_a_checkpoint_that_a_reader_keeps_from_its_end_is_no_trouble(sqlite_database: Database) -> None:
    watched = Watched(sqlite_database)
    await watched.writer.run(put)
    shell = sqlite3.connect(watched.path, isolation_level=None)
    reader = sqlite3.connect(watched.path, isolation_level=None)
    with closing(shell), closing(reader):
        # Given a reader that sees new pages at the end of the file, but not what is written to them afterwards
        shell.execute("CREATE TABLE large AS SELECT randomblob(4000) AS value FROM sqlite_master LIMIT 50")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM large").fetchone()
        shell.execute("UPDATE large SET value = randomblob(4000)")
        # When a checkpoint writes what it may: the header with the number of pages, but not the last of them
        watched.checkpoint()
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            read_stamp(str(watched.path), is_whole=True)
        # Then the file is taken for what it is
        await watched.writer.run(put)
        reader.execute("COMMIT")
        await watched.writer.run(put)
    await watched.writer.close()
    assert not Path(f"{watched.path}-wal.set-aside-1").exists()  # noqa: ASYNC240 - nothing else runs


async def test_the_log_of_a_database_on_a_small_disk_stays_small(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteFile, "room_for_log", lambda _: 2_000_000)
    watched = Watched(sqlite_database)
    for _ in range(20):
        await watched.writer.run(lambda connection: put_much(connection, 200_000))
    assert Path(f"{watched.path}-wal").stat().st_size < 1_000_000  # noqa: ASYNC240 - nothing else runs
    await watched.writer.close()


async def test_the_log_makes_room_on_a_disk_that_is_full(sqlite_database: Database) -> None:
    watched = Watched(sqlite_database)
    log = Path(f"{watched.path}-wal")
    # Given a database that may grow by a megabyte
    await watched.writer.run(lambda connection: put_much(connection, 100_000))
    pages = await watched.writer.run(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    await watched.writer.run(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 250}"))
    assert log.stat().st_size > 100_000  # noqa: ASYNC240 - nothing else runs
    # When a commit finds no room
    with pytest.raises(DatabaseUnavailableError, match="database or disk is full"):
        await watched.writer.run(lambda connection: put_much(connection, 2_000_000))
    # Then the log has given back what it took, nothing is lost, and what fits is written
    assert log.stat().st_size == 0  # noqa: ASYNC240 - nothing else runs
    await watched.writer.run(put)
    await watched.writer.close()
    assert len(sqlite_database.execute("SELECT 1 FROM rule_editor")) == 2


def put_much(connection: Connection, size: int) -> None:
    connection.execute(insert(rule_editor).values(name="x" * size))


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir() if path.is_file()}


async def test_all_files_of_a_database_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        url = make_url(f"sqlite:///{tmp_path}/usher.db")
        claim = claim_database(url)
        schema.upgrade(url)
        writer = Writer(create_writer_engine(url))
        await writer.run(put)
        expected = dict.fromkeys(("usher.db", "usher.db-wal", "usher.db-shm", "usher.db.serving"), "0o600")
        assert modes(tmp_path) == expected
        await writer.close()
        claim.close()
    finally:
        os.umask(before)


def test_files_that_others_may_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "usher.db"
    claim = claim_database(make_url(f"sqlite:///{database}"))
    database.touch(0o600)
    claim.warn_if_readable()
    assert capsys.readouterr().out == ""
    database.chmod(0o644)
    claim.warn_if_readable()
    assert f"chmod 600 {database}" in capsys.readouterr().out
    claim.close()
