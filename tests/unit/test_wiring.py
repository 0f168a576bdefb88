"""What stops the service from starting on an embedded database: one line each, naming the file and the setting."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from app.db.engine.sqlite_claim import claim_database
from app.errors import ConflictError, DatabaseUnavailableError


def test_a_second_process_on_the_database_is_refused(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path}/usher.db")
    claim = claim_database(url)
    with pytest.raises(ConflictError, match="another usher serve runs on") as raised:
        claim_database(url)
    assert "\n" not in str(raised.value)
    claim.close()
    claim_database(url).close()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=f"there is no folder {tmp_path}/nowhere"):
        claim_database(make_url(f"sqlite:///{tmp_path}/nowhere/usher.db"))


def test_a_lock_file_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(ConflictError) as raised:
        claim_database(make_url(f"sqlite:///{tmp_path}/usher.db"))
    assert f"cannot open {tmp_path}/usher.db.serving" in str(raised.value)
    assert "Permission denied" in str(raised.value)
    assert "DATABASE_URL" in str(raised.value)


def test_a_file_system_without_locks_is_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(ConflictError, match=r"cannot lock .*: No locks available"):
        claim_database(make_url(f"sqlite:///{tmp_path}/usher.db"))
