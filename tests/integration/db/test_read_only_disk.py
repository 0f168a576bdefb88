"""A SQLite database on a file system that takes no writes: everybody says so, where SQLite speaks of an I/O error."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.engine import URL, make_url

from app.cli.diagnosis.usher_checks import database_findings
from app.cli.framework.database import database_errors
from app.db.engine import create_reader_engine, create_writer_engine
from app.db.engine.sqlite_backup import copy_database
from app.db.engine.sqlite_claim import claim_database
from app.db.tables import rule_editor
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError
from app.settings import read_settings
from tests.conftest import Database

READ_ONLY = r"the file system of \S+/disk is read-only"


@pytest.fixture(params=["stopped", "killed"])
def read_only(sqlite_database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[URL]:
    """A database on a disk that is read-only: of a process that was stopped, or killed, which leaves its log there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        engine = sqlite_database.writer_engine()
        with engine.begin() as connection:
            connection.execute(insert(rule_editor).values(name="x"))
        if request.param == "stopped":
            engine.dispose()
        for file in Path(sqlite_database.url.database or "").parent.glob("usher.db*"):
            shutil.copy(file, disk)
        engine.dispose()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        yield make_url(f"sqlite:///{disk}/usher.db")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_it_is_not_served(read_only: URL) -> None:
    with pytest.raises(DatabaseUnavailableError, match=READ_ONLY):
        claim_database(read_only)


async def test_writes_are_refused_with_the_reason(read_only: URL) -> None:
    writer = Writer(create_writer_engine(read_only))
    with pytest.raises(DatabaseUnavailableError, match=READ_ONLY):
        await writer.run(lambda connection: connection.execute(insert(rule_editor).values(name="y")))
    await writer.close()


def test_a_backup_is_taken_of_what_can_be_read(read_only: URL, tmp_path: Path) -> None:
    source, copy = Path(read_only.database or ""), tmp_path / "copy.db"
    if Path(f"{source}-wal").exists():
        copy_database(source, copy)
        return
    with pytest.raises(DatabaseUnavailableError, match=READ_ONLY):
        copy_database(source, copy)


def test_commands_and_the_doctor_say_so(read_only: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", read_only.render_as_string())
    (finding,) = database_findings(read_settings(without_livekit=True))
    assert finding.status == "failed"
    assert "is read-only" in finding.found
    if Path(f"{read_only.database}-wal").exists():
        return  # then it can be read
    readers = create_reader_engine(read_only)
    with pytest.raises(DatabaseUnavailableError, match=READ_ONLY), database_errors(read_only), readers.connect():
        pass
