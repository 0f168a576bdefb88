"""The lock that lets one process at a time migrate a database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.db.engine import create_migration_engine
from app.db.migration.migration_lock import migration_lock
from tests.conftest import Database


def test_an_index_can_be_built_concurrently_while_the_lock_is_held(postgres_database: Database) -> None:
    engine = create_migration_engine(postgres_database.url)
    with migration_lock(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = '60s'")
        connection.exec_driver_sql("CREATE INDEX CONCURRENTLY ix_probes_started_at ON probes (started_at)")


def test_the_lock_keeps_others_waiting(empty_database: Database) -> None:
    engine = create_migration_engine(empty_database.url)
    order: list[str] = []

    def second() -> None:
        with migration_lock(engine):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with migration_lock(engine):
            waiting = pool.submit(second)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
            order.append("first")
        waiting.result(60)
    assert order == ["first", "second"]
