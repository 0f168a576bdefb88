"""A backup takes the place of a database; whenever that is interrupted, nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.db.engine.sqlite_backup import replace_database

STEPS = ("rename", "replace", "link", "unlink")


class Interrupted(BaseException):
    """Stands for the end of the process."""


def database_of(folder: Path, name: str, *, log: bool) -> Path:
    """Make a database that holds its name; `log`: in its log only, as after SIGKILL."""
    work = folder / "work" / name
    work.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(work)) as connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if log else 'DELETE'}")
        connection.execute("CREATE TABLE held (name TEXT)")
        connection.commit()
        if log:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO held VALUES (?)", (name,))
        connection.commit()
        for file in work.parent.glob(f"{name}*"):
            shutil.copy(file, folder / file.name)
    return folder / name


def held_by(database: Path) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True)) as connection:
        return "".join(row[0] for row in connection.execute("SELECT name FROM held"))


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process end before its n-th change of a name."""
    left = [step]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if not left[0]:
                raise Interrupted
            left[0] -= 1
            return change(*arguments, **options)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("log", [True, False], ids=["with a log", "without a log"])
@pytest.mark.parametrize("step", range(6))
def test_at_each_interruption_both_databases_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, log: bool
) -> None:
    before, incoming = database_of(tmp_path, "before", log=log), database_of(tmp_path, "incoming", log=False)
    with monkeypatch.context() as patched:
        interrupt_at(step, patched)
        try:
            aside = replace_database(before, incoming)
        except Interrupted:
            aside = None
    if aside is not None:
        assert held_by(aside) == "before"
        assert held_by(before) == "incoming"
    else:
        # A service that starts now finds the database as it was, or the backup, and never a mixture
        assert held_by(before) in {"before", "incoming"}
        asides = [file for file in tmp_path.glob("before.before-restore*") if not file.name.endswith(("-wal", "-shm"))]
        assert "before" in {held_by(file) for file in (before, *asides)}
        # And the next attempt succeeds
        if incoming.exists():
            replace_database(before, incoming)
        assert held_by(before) == "incoming"


def test_a_log_of_a_damaged_or_missing_database_is_kept_and_not_applied_to_the_backup(tmp_path: Path) -> None:
    for damaged in (True, False):
        folder = tmp_path / f"{damaged}"
        folder.mkdir()
        before, incoming = database_of(folder, "before", log=True), database_of(folder, "incoming", log=False)
        log = (folder / "before-wal").read_bytes()
        if damaged:
            before.write_bytes(b"no database at all" * 1000)
        else:
            before.unlink()
        aside = replace_database(before, incoming)
        assert held_by(before) == "incoming"
        assert (aside is not None) is damaged
        assert (folder / "before.before-restore-wal").read_bytes() == log
        if aside is not None:
            assert aside.read_bytes().startswith(b"no database")


def test_on_a_file_system_without_links_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    before, incoming = database_of(tmp_path, "before", log=True), database_of(tmp_path, "incoming", log=False)
    aside = replace_database(before, incoming)
    assert aside is not None
    assert (held_by(aside), held_by(before)) == ("before", "incoming")
