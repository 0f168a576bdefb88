"""PostgreSQL, reached directly or through a pooler such as PgBouncer in transaction mode.

Such a pooler gives each transaction another server connection, and that connection to another client afterwards. So
nothing is left in the session: settings are set for one transaction, locks are held by transactions, and statements are
prepared on direct connections only. PgBouncer also refuses `options` in the start-up packet, so they are sent only if
DATABASE_URL has them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, pool
from sqlalchemy.engine import URL

CONNECT_TIMEOUT_S: Final = 5
PREPARE_AFTER: Final = 5
"""Times that a statement runs before it is prepared. Prepared, 16 simultaneous webhooks take 35 ms instead of 86."""
_READ_ONLY: Final = "25006"
"""SQLSTATE of a write that the session does not allow: the server has become a replica, or was made read-only."""


def create_pool(url: URL, lock_timeout_ms: int, **options: Any) -> Engine:
    """Return an engine for short transactions; a statement waits at most `lock_timeout_ms` for each lock."""
    engine = create_engine(
        url,
        hide_parameters=True,  # they are of callers: not for logs
        pool_pre_ping=True,  # a restarted database costs one reconnect, not one failed webhook
        connect_args={**_connect_args(url), "autocommit": True},  # `begin` opens the transactions
        **options,
    )
    settings = _transaction_settings(url, lock_timeout_ms)

    @event.listens_for(engine, "connect")
    def prepare_on_direct_connections(connection: Any, _record: Any) -> None:
        # A pooler cannot tell its client the process of a server connection that changes: it makes up a number.
        (backend_pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        if connection.info.backend_pid == backend_pid:
            connection.prepare_threshold = PREPARE_AFTER

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not _is_autocommit(connection):
            connection.exec_driver_sql(f"BEGIN; {settings}")  # in one message: no further round trip

    @event.listens_for(engine, "handle_error")
    def reconnect(context: ExceptionContext) -> None:
        # A session stays read-only after its server, or what the host name points to, takes writes again.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True

    return engine


def create_migration_engine(url: URL, lock_timeout_ms: int) -> Engine:
    """Return an engine for revisions, which may leave their transaction for `CREATE INDEX CONCURRENTLY`."""
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=_connect_args(url), hide_parameters=True)
    settings = _transaction_settings(url, lock_timeout_ms)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not _is_autocommit(connection):
            connection.exec_driver_sql(settings)

    return engine


def _is_autocommit(connection: Connection) -> bool:
    """Return whether statements of `connection` run outside of transactions, as VACUUM must."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def _connect_args(url: URL) -> dict[str, Any]:
    arguments: dict[str, Any] = {"prepare_threshold": None}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = CONNECT_TIMEOUT_S
    return arguments


def _transaction_settings(url: URL, lock_timeout_ms: int) -> str:
    """Return the statements that begin a transaction; a lock timeout in the URL's `options` replaces ours."""
    settings = "SET LOCAL timezone = 'UTC'"
    if "lock_timeout" in str(url.query.get("options", "")):
        return settings
    return f"{settings}; SET LOCAL lock_timeout = {lock_timeout_ms}"
