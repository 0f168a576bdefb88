"""Database engines: one for the writer, a pool for readers, one for migrations.

SQLite (the embedded default, one node) and PostgreSQL (several replicas; also behind PgBouncer) are both first-class.
"""

from app.db.engine.driver import execute_later, execute_on_driver
from app.db.engine.engines import (
    cause_in,
    create_migration_engine,
    create_reader_engine,
    create_writer_engine,
    flush,
    has_not_begun,
    is_lock_timeout,
    make_room,
    needs_flush,
    note_commit,
    release_storage,
    require_storage,
    watch_storage,
    with_lock_timeout,
)
from app.db.engine.refusal import REFUSALS, refusal_text, words_of
from app.db.engine.url import is_embedded, parse_database_url

__all__ = [
    "REFUSALS",
    "cause_in",
    "create_migration_engine",
    "create_reader_engine",
    "create_writer_engine",
    "execute_later",
    "execute_on_driver",
    "flush",
    "has_not_begun",
    "is_embedded",
    "is_lock_timeout",
    "make_room",
    "needs_flush",
    "note_commit",
    "parse_database_url",
    "refusal_text",
    "release_storage",
    "require_storage",
    "watch_storage",
    "with_lock_timeout",
    "words_of",
]
