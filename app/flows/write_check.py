"""Whether the database takes writes: a read cannot show that the disk is full, or that the database is read-only."""

from __future__ import annotations

import asyncio

from app.errors import DatabaseUnavailableError
from app.flows.context import Context
from app.flows.turns import beat
from app.logs import get_logger

_log = get_logger(__name__)

_VALID_S = 2.0  # a result is used again for so long: anybody may ask
_WAIT_S = 1.0  # health checks of orchestrators time out soon; a later one gets the result
_COMPONENT = "write_check"


class WriteCheck:
    """Writes one row now and then, when asked for the result."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._trouble = ""
        self._checked_at = float("-inf")
        self._check: asyncio.Task[None] | None = None

    async def trouble(self) -> str:
        """Return why the latest write failed, "" if it did not; writes again when that was more than 2 s ago."""
        if self._check is None:
            if self._context.clock.monotonic() - self._checked_at < _VALID_S:
                return self._trouble
            self._check = asyncio.create_task(self._write(), name="usher-write-check")
        await asyncio.wait([self._check], timeout=_WAIT_S)
        return self._trouble

    async def _write(self) -> None:
        context = self._context
        try:
            await context.writer.run(
                lambda connection: beat(connection, _COMPONENT, context.owner, context.clock.now(), {})
            )
            self._trouble = ""
        except DatabaseUnavailableError as error:
            self._trouble = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, webhooks are refused for it, too
            _log.exception("the write check failed")
            self._trouble = f"the database refuses the write: {type(error).__name__}"
        finally:
            self._checked_at = context.clock.monotonic()
            self._check = None
