"""PostgreSQL, reached directly or through a pooler such as PgBouncer in transaction mode.

Such a pooler gives each transaction another server connection, and that connection to another client afterwards. So
nothing is left in the session: settings are set for one transaction, locks are held by transactions, and statements are
prepared on direct connections only. PgBouncer also refuses `options` in the start-up packet, so they are sent only if
DATABASE_URL has them. What DATABASE_URL sets, by a parameter or in its `options`, is never replaced.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, pool
from sqlalchemy.engine import URL

from app.db.engine.postgres.timeouts import Timeouts
from app.strict_json import parse_stored_json

_CONNECTING: Final = {
    "connect_timeout": 5,
    # A peer that has vanished is noticed after 20 s (libpq's default: two hours), also by migrations.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
"""Parameters of libpq for new connections; seconds, and milliseconds for the last."""
PREPARE_AFTER: Final = 5
"""Times that a statement runs before it is prepared. Prepared, 16 simultaneous webhooks take 35 ms instead of 86."""
LOCK_TIMEOUT_OPTION: Final = "lock_timeout_ms"
"""The execution option of an engine whose transactions wait so long for a lock, unless DATABASE_URL says how long."""
_LOCK_NOT_AVAILABLE: Final = "55P03"
"""SQLSTATE of a statement that has waited for a lock in vain."""
_READ_ONLY: Final = "25006"
"""SQLSTATE of a write that the session does not allow: the server has become a replica, or was made read-only."""


def create_pool(url: URL, timeouts: Timeouts, *, compiles: bool = True, **options: Any) -> Engine:
    """Return an engine for short transactions; with `compiles`, the server may compile what it deems expensive."""
    from app.db.engine.postgres.pipelined_connection import (  # noqa: PLC0415 - without psycopg SQLite must work
        PipelinedConnection,
    )

    engine = create_engine(
        url,
        hide_parameters=True,  # they are of callers: not for logs
        connect_args={**_connect_args(url), "autocommit": True},  # `begin` opens the transactions
        json_deserializer=parse_stored_json,
        **options,
    )
    timeouts = timeouts.beside(str(url.query.get("options", "")))
    settings = _local_settings(timeouts) | ({} if compiles else {"jit": "off"})
    set_locally = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    answer_timeout_s = None if timeouts.answer_ms is None else timeouts.answer_ms / 1000

    engine.dialect.connect = PipelinedConnection.connect  # type: ignore[assignment] # SQLAlchemy has no option for it

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.answer_timeout_s = answer_timeout_s
        # A pooler cannot tell its client the process of a server connection that changes: it makes up a number.
        (backend_pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        if connection.info.backend_pid == backend_pid:
            connection.prepare_threshold = PREPARE_AFTER

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not _is_autocommit(connection):
            wait_ms = connection.get_execution_options().get(LOCK_TIMEOUT_OPTION)
            is_set = wait_ms is not None and timeouts.lock_ms is not None
            shorter = [f"SET LOCAL lock_timeout = {wait_ms:d}"] if is_set else []
            connection.connection.begin_later("BEGIN", set_locally, *shorter)

    @event.listens_for(engine, "handle_error")
    def reconnect(context: ExceptionContext) -> None:
        if is_read_only(context.original_exception):
            context.is_disconnect = True

    return engine


def is_read_only(error: BaseException) -> bool:
    """Return whether a write failed because its session is read-only.

    It stays so after its server, or what the host name points to, takes writes again.
    """
    return getattr(error, "sqlstate", None) == _READ_ONLY


def is_lock_timeout(error: BaseException) -> bool:
    """Return whether the driver's error in `error` is that a statement has waited for a lock in vain."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _LOCK_NOT_AVAILABLE


def has_not_begun(error: BaseException) -> bool:
    """Return whether the driver's error in `error` is a `NotBegunError`."""
    return bool(getattr(getattr(error, "orig", None), "has_not_begun", False))


def create_migration_engine(url: URL, timeouts: Timeouts) -> Engine:
    """Return an engine for revisions, which may leave their transaction for `CREATE INDEX CONCURRENTLY`."""
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=_connect_args(url), hide_parameters=True)
    timeouts = timeouts.beside(str(url.query.get("options", "")))
    settings = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in _local_settings(timeouts).items())

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not _is_autocommit(connection):
            connection.exec_driver_sql(settings)

    return engine


def _is_autocommit(connection: Connection) -> bool:
    """Return whether statements of `connection` run outside of transactions, as VACUUM must."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def _connect_args(url: URL) -> dict[str, Any]:
    given = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    return {"prepare_threshold": None, **given}


def _local_settings(timeouts: Timeouts) -> dict[str, str]:
    """Return the settings of each transaction, with their values."""
    limits = {
        "lock_timeout": timeouts.lock_ms,
        "statement_timeout": timeouts.statement_ms,
        "idle_in_transaction_session_timeout": timeouts.idle_ms,
    }
    return {"timezone": "UTC"} | {name: str(limit) for name, limit in limits.items() if limit is not None}
