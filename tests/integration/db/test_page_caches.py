"""SQLite's page caches may be the largest part of a process's memory: each is bounded, and the bounds are stated."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import QueuePool

from app.db.engine import create_reader_engine, create_writer_engine, parse_database_url
from app.db.engine.sqlite import MOST_READERS, READER_CACHE_KIB, READERS, WRITER_CACHE_KIB

SIZING = Path(__file__).parents[3] / "app" / "docs" / "sizing.md"


def test_each_connection_has_a_bounded_cache_and_few_readers_are_kept(tmp_path: Path) -> None:
    url = parse_database_url(f"sqlite:///{tmp_path / 'usher.db'}")
    writer, readers = create_writer_engine(url), create_reader_engine(url)
    with ExitStack() as stack:
        stack.callback(writer.dispose)
        stack.callback(readers.dispose)
        with writer.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -WRITER_CACHE_KIB
        pool = readers.pool
        assert isinstance(pool, QueuePool)
        with ExitStack() as busy:
            for _ in range(MOST_READERS):
                connection = busy.enter_context(readers.connect())
                assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -READER_CACHE_KIB
            assert pool.checkedout() == MOST_READERS
        assert pool.checkedin() == READERS


def test_reads_one_after_the_other_fill_one_cache(tmp_path: Path) -> None:
    readers = create_reader_engine(parse_database_url(f"sqlite:///{tmp_path / 'usher.db'}"))
    with readers.connect() as first, readers.connect():
        del first
    used = set()
    for _ in range(READERS):
        with readers.connect() as connection:
            used.add(id(connection.connection.driver_connection))
    readers.dispose()
    assert len(used) == 1


def test_what_the_page_on_sizing_states_is_right() -> None:
    text = " ".join(SIZING.read_text().split())
    writer, reader = WRITER_CACHE_KIB // 1024, READER_CACHE_KIB // 1024
    assert f"{writer} MiB for the writer and {reader} MiB for each reader, of which there are {READERS}" in text
    assert f"up to {MOST_READERS} while as many requests of the console read at once" in text
    assert f"{(MOST_READERS - READERS) * reader} MiB more if many people use the console at once" in text
