"""Whether the database takes writes: a read cannot show that the disk is full, or that the database is read-only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection

from app.errors import DatabaseUnavailableError, WriteRefusedError
from app.flows.context import Context
from app.flows.turns import beat
from app.logs import get_logger

_log = get_logger(__name__)

_VALID_S = 2.0  # a result is used again for so long: anybody may ask
_WAIT_S = 1.0  # health checks of orchestrators time out soon; a later one gets the result
_OVERDUE_S = 3.0  # a write that takes longer counts as failed until it ends
_COMPONENT = "write_check"
# Whatever accepting a webhook reads and writes. Another session may have locked any of these tables.
_LOCKS = """
LOCK TABLE events, dispatches, dispatch_callers, dispatch_attempts, audit_log IN ROW EXCLUSIVE MODE;
LOCK TABLE rule_changes IN ACCESS SHARE MODE
"""


class WriteCheck:
    """Writes one row now and then, when asked for the result."""

    def __init__(self, context: Context, refusal: Callable[[float], str]) -> None:
        """`refusal` returns why events are refused at a monotonic instant, "" if none was lately."""
        self._context = context
        self._refusal = refusal
        self._trouble = ""
        self._checked_at = float("-inf")
        self._begun_at = float("-inf")
        self._check: asyncio.Task[None] | None = None

    async def trouble(self) -> str:
        """Return why the latest write failed, "" if it did not; writes again when that was more than 2 s ago."""
        clock = self._context.clock
        if self._check is None:
            if clock.monotonic() - self._checked_at < _VALID_S:
                return self._known_trouble()
            self._begun_at = clock.monotonic()
            self._check = asyncio.create_task(self._write(), name="usher-write-check")
        done, _ = await asyncio.wait([self._check], timeout=_WAIT_S)
        if not done and clock.monotonic() - self._begun_at > _OVERDUE_S:
            return self._known_trouble() or "the database has not taken a write for some seconds"
        return self._known_trouble()

    def _known_trouble(self) -> str:
        context = self._context
        return self._trouble or context.writer.trouble() or self._refusal(context.clock.monotonic())

    async def _write(self) -> None:
        context = self._context
        try:
            await context.writer.run(self._write_row)
            self._trouble = ""
        except (DatabaseUnavailableError, WriteRefusedError) as error:
            self._trouble = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, webhooks are refused for it, too
            _log.exception("the write check failed")
            self._trouble = f"the database refuses the write: {type(error).__name__}"
        finally:
            self._checked_at = context.clock.monotonic()
            self._check = None

    def _write_row(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(_LOCKS)
        beat(connection, _COMPONENT, self._context.owner, self._context.clock.now(), {})
