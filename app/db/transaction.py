"""Units that wait together share a transaction; should one of them fail, each is done again in one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db.engine import flush, wait_for_lock
from app.errors import DatabaseUnavailableError

_TRIES = 3


class RaceLostError(Exception):
    """Raised by a unit that finds that another process has just done its work; the unit is done again."""


class LongUnitError(Exception):
    """Raised by a brief unit that turns out to be none; it is done again where it keeps nobody waiting."""


@dataclass(slots=True, eq=False)
class Unit:
    """What somebody waits for: `handler` is given `item`, together with those of the units beside it."""

    handler: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    item: Any
    is_brief: bool
    future: asyncio.Future[Any]
    since: float
    committed: Callable[[Any], None] | None = None
    """Is told the result before the one who waits, who is told once it is on the disk."""
    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Give who waits what came of it."""
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Transaction:
    """The transaction of some units, in steps, of which only `finish` and `flush` may wait for the disk or a lock."""

    def __init__(self, engine: Engine, units: Sequence[Unit]) -> None:
        self.units = units
        self.unannounced = [unit for unit in units if unit.committed is not None]
        self._engine = engine
        self._connection: Connection | None = None
        self._left = list(units)

    def begin(self) -> None:
        """Do the brief units; should anything hinder that, all is left to `finish`."""
        connection: Connection | None = None
        try:
            connection = self._engine.connect()
            wait_for_lock(connection, wait=False)
            connection.begin()
            _run([unit for unit in self.units if unit.is_brief], connection)
        except Exception:  # noqa: BLE001 - met again, and told, where it keeps nobody waiting
            if connection is not None:
                connection.close()
        else:
            self._connection = connection
            self._left = [unit for unit in self.units if not unit.is_brief]

    def finish(self) -> None:
        """Do what is left and commit."""
        if self._connection is None:
            self._commit_together(self.units)
            return
        try:
            if self._left:
                _run(self._left, self._connection)
            # The driver's own: SQLAlchemy's would need the interpreter, which the event loop may be using, ten times.
            self._connection.connection.commit()
        except Exception as error:  # noqa: BLE001 - every error belongs to some caller
            self._connection.close()
            self._do_again(self.units, error)

    def announce(self) -> None:
        """Tell those who need not wait for the disk; each is told once."""
        units, self.unannounced = self.unannounced, []
        for unit in units:
            if unit.committed is not None and unit.error is None:
                unit.committed(unit.result)

    def flush(self) -> None:
        """Wait for the disk."""
        try:
            flush(self._engine)
        except OSError as error:
            for unit in self.units:
                unit.error = unit.error or DatabaseUnavailableError(f"the disk cannot take the write: {error}")

    def end(self) -> None:
        """Give the connection back and tell those who wait."""
        if self._connection is not None:
            self._connection.close()
        for unit in self.units:
            unit.tell()
        self.announce()

    def _commit_together(self, units: Sequence[Unit], tries: int = _TRIES) -> None:
        try:
            with self._engine.connect() as connection:
                wait_for_lock(connection, wait=True)
                connection.begin()
                _run(units, connection)
                connection.commit()
        except Exception as error:  # noqa: BLE001 - every error belongs to some caller
            self._do_again(units, error, tries)

    def _do_again(self, units: Sequence[Unit], error: Exception, tries: int = _TRIES) -> None:
        if len(units) == 1 and tries > 1 and _lost_against_another(error):
            self._commit_together(units, tries - 1)
            return
        unavailable = as_unavailable(error)
        if unavailable is not None or len(units) == 1:
            for unit in units:
                unit.error = unavailable or error
            return
        for unit in units:
            self._commit_together([unit])


def _run(units: Sequence[Unit], connection: Connection) -> None:
    for group in _group(units):
        results = group[0].handler(connection, [unit.item for unit in group])
        for unit, result in zip(group, results, strict=True):
            unit.result = result


def _group(units: Sequence[Unit]) -> list[list[Unit]]:
    # Consecutive units only: they keep the order in which they were asked for.
    groups: list[list[Unit]] = []
    for unit in units:
        if groups and groups[-1][0].handler == unit.handler:
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return groups


def _lost_against_another(error: BaseException) -> bool:
    """Whether another replica's transaction won: the same unit will see its result when it is done again."""
    return isinstance(error, RaceLostError) or getattr(getattr(error, "orig", None), "sqlstate", None) in {
        "40001",  # serialization failure
        "40P01",  # deadlock
    }


def as_unavailable(error: BaseException) -> DatabaseUnavailableError | None:
    """Return the error to answer when `error` means that the database, not the unit, is the trouble."""
    if isinstance(error, DatabaseUnavailableError):
        return error
    if _lost_against_another(error):
        return None
    trouble = isinstance(error, OperationalError | InterfaceError | PoolTimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    if not trouble or not isinstance(error, SQLAlchemyError):
        return None
    cause = getattr(error, "orig", None) or error
    unavailable = DatabaseUnavailableError(f"the database cannot take the write: {str(cause).strip().splitlines()[0]}")
    unavailable.__cause__ = error
    return unavailable
