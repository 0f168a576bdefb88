"""Databases without Usher's schema, besides the migrated ones of every tier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.conftest import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a database that holds nothing, of each kind in turn."""
    if request.param == "sqlite":
        database = Database(make_url(f"sqlite:///{tmp_path / 'empty.db'}"))
        yield database
        database.close()
        return
    database = Database(request.getfixturevalue("empty_postgres"))
    yield database
    database.close()
