"""Databases without Usher's schema, besides the migrated ones of every tier."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from tests.conftest import Database, create_database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a database that holds nothing, of each kind in turn."""
    if request.param == "sqlite":
        database = Database(make_url(f"sqlite:///{tmp_path / 'empty.db'}"))
        yield database
        database.close()
        return
    server = request.getfixturevalue("postgres_server")
    name = f"usher_{uuid.uuid4().hex[:12]}"
    create_database(server, name)
    database = Database(server.set(database=name))
    yield database
    database.close()
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()
