"""PostgreSQL, reached directly or through a pooler; psycopg is imported when the first engine is made."""

from app.db.engine.postgres.postgres_engine import (
    LOCK_TIMEOUT_OPTION,
    create_migration_engine,
    create_pool,
    has_not_begun,
    is_lock_timeout,
    is_read_only,
)
from app.db.engine.postgres.timeouts import Timeouts

__all__ = [
    "LOCK_TIMEOUT_OPTION",
    "Timeouts",
    "create_migration_engine",
    "create_pool",
    "has_not_begun",
    "is_lock_timeout",
    "is_read_only",
]
