"""One transaction for several units of work; if one of them fails, each runs again in a transaction of its own.

On PostgreSQL transactions of replicas wait for each other. A handler locks rows in one order, but several in one
transaction do not: two replicas would deadlock where the second handler of each needs what the first one of the other
has locked. So a transaction of several handlers does not wait long, and what it has locked is free again before each of
them waits in a transaction of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db.engine import (
    REFUSALS,
    cause_in,
    has_not_begun,
    is_lock_timeout,
    make_room,
    note_commit,
    refusal_text,
    require_storage,
    with_lock_timeout,
)
from app.errors import DatabaseUnavailableError, LockHeldError, WriteRefusedError, cause_of
from app.logs import get_logger
from app.translation import translatable

_log = get_logger(__name__)

GIVE_WAY_MS = 500
"""A unit that gives way waits this long for a lock: webhooks wait behind it meanwhile."""
SHARED_WAIT_MS = 250
"""A transaction of several handlers waits this long for a lock; PostgreSQL finds a deadlock after 1 s."""
_AGAIN_MS = 20
"""A unit waits this long once one before it in the transaction has waited in vain: many may need what one holds."""
_TRIES = 3  # of a unit that lost a race, and of a transaction whose connection broke before it began


class RaceLostError(Exception):
    """Another process has just done the unit's work; the unit runs again and sees the result."""


class Unit:
    """What one caller waits for: `handler` gets `item`, together with the items of the units beside it.

    `share`: the project whose part of the writer it takes when too many units wait. `window_s`: how long it may wait
    for others. `gives_way`: it runs in a transaction of its own and waits `GIVE_WAY_MS` for a lock at most.
    """

    __slots__ = ("error", "future", "gives_way", "handler", "item", "on_commit", "result", "share", "since", "window_s")

    def __init__(
        self,
        handler: Callable[[Connection, Sequence[Any]], Sequence[Any]],
        item: Any,
        future: asyncio.Future[Any],
        since: float,
        on_commit: Callable[[Any], None] | None = None,
        *,
        share: str = "",
        window_s: float = 0.0,
        gives_way: bool = False,
    ) -> None:
        self.handler = handler
        self.gives_way = gives_way
        self.share = share
        self.window_s = window_s
        self.item = item
        self.on_commit = on_commit
        self.future = future
        self.since = since
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def is_held_up(self) -> bool:
        """Whether it failed because another transaction holds what it needs."""
        return isinstance(self.error, LockHeldError)

    def announce(self) -> None:
        """Call `on_commit`, once, if the unit was committed."""
        on_commit, self.on_commit = self.on_commit, None
        if on_commit is None or self.error is not None:
            return
        try:
            on_commit(self.result)
        except Exception:  # noqa: BLE001 - a defect there must not keep the results of other units from their callers
            _log.exception("what follows a commit failed")

    def resolve(self) -> None:
        """Give the result or the error to the caller, unless it stopped waiting."""
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Transaction:
    """`commit` blocks until the units are committed; the other methods belong to the event loop."""

    def __init__(self, engine: Engine, units: Sequence[Unit], *, is_patient: bool = True) -> None:
        """`is_patient`: whether a handler may wait for locks as long as the engine says, or `SHARED_WAIT_MS`."""
        self._engine = engine
        self._is_patient = is_patient
        self.units = units

    @property
    def is_held_up(self) -> bool:
        """Whether a unit that does not give way has waited for a lock in vain."""
        return any(unit.is_held_up and not unit.gives_way for unit in self.units)

    def commit(self) -> None:
        """Run the units and commit. Never raises: errors go to the units."""
        try:
            require_storage(self._engine)
            if shared := [unit for unit in self.units if not unit.gives_way]:
                self._commit_together(shared)
            self._commit_those_that_give_way()
        except OSError as error:
            self.fail(error)

    def _commit_together(self, units: Sequence[Unit]) -> None:
        """Commit `units` at once; if that waits for a lock in vain, each handler alone, and then each unit."""
        groups = _group(units)
        if len(groups) > 1:
            self._commit(units, engine=with_lock_timeout(self._engine, SHARED_WAIT_MS))
            groups = _group([unit for unit in units if unit.is_held_up])
        engine = self._engine if self._is_patient else with_lock_timeout(self._engine, SHARED_WAIT_MS)
        for group in groups:
            self._commit(group, engine=engine)
            held_up = [unit for unit in group if unit.is_held_up]
            if held_up:
                engine = with_lock_timeout(self._engine, _AGAIN_MS)
            if len(group) > 1:
                for unit in held_up:
                    self._commit([unit], engine=engine)

    def _commit_those_that_give_way(self) -> None:
        wait_ms = GIVE_WAY_MS
        for unit in self.units:
            if unit.gives_way:
                self._commit([unit], engine=with_lock_timeout(self._engine, wait_ms))
                if unit.is_held_up:
                    wait_ms = _AGAIN_MS

    def fail(self, error: OSError) -> None:
        """Give the error of the file or the disk to the units that have none."""
        for unit in self.units:
            unit.error = unit.error or DatabaseUnavailableError(
                translatable("the database cannot take the write: %(error)s", error=error)
            )

    def announce(self) -> None:
        """Call `on_commit` of each unit that was committed; each is called once."""
        for unit in self.units:
            unit.announce()

    def deliver(self) -> None:
        """Give each caller its result; `on_commit` runs first."""
        self.announce()
        for unit in self.units:
            unit.resolve()

    def _commit(self, units: Sequence[Unit], tries: int = _TRIES, engine: Engine | None = None) -> None:
        for unit in units:
            unit.error = None
        try:
            with (engine or self._engine).begin() as connection:
                _run(units, connection)
        except Exception as error:  # noqa: BLE001 - every error belongs to some caller
            self._run_again(units, error, tries, engine)
        else:
            note_commit(self._engine)

    def _run_again(self, units: Sequence[Unit], error: Exception, tries: int, engine: Engine | None) -> None:
        # A connection that broke while it was idle, as by a restart of the server, shows that at its next statement. To
        # ask before each transaction whether it works would be one more round trip.
        if tries > 1 and (has_not_begun(error) or (len(units) == 1 and _lost_race(error))):
            self._commit(units, tries - 1, engine)
            return
        # Of several units that lost a race together, each is run alone: another may win.
        unavailable = None if len(units) > 1 and _lost_race(error) else as_unavailable(error, self._engine.url)
        if unavailable is not None:
            make_room(self._engine, error)
        if unavailable is not None or len(units) == 1:
            for unit in units:
                unit.error = unavailable or as_refused(error)
            return
        for unit in units:
            self._commit([unit], engine=engine)


def _run(units: Sequence[Unit], connection: Connection) -> None:
    for group in _group(units):
        results = group[0].handler(connection, [unit.item for unit in group])
        for unit, result in zip(group, results, strict=True):
            unit.result = result


def _group(units: Sequence[Unit]) -> list[list[Unit]]:
    """Return the units by handler, each handler's in their order, so that it locks what they need in its own order."""
    groups: dict[Callable[..., Any], list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.handler, []).append(unit)
    return list(groups.values())


def _lost_race(error: BaseException) -> bool:
    """Return whether another replica's transaction won: the unit will see its result when it runs again."""
    return isinstance(error, RaceLostError) or getattr(getattr(error, "orig", None), "sqlstate", None) in {
        "23505",  # unique violation: the row was inserted after this transaction looked for it
        "40001",  # serialization failure
        "40P01",  # deadlock
    }


def as_refused(error: Exception) -> Exception:
    """Return `WriteRefusedError` if the database refuses for good what `error` says, else `error` itself."""
    if not isinstance(error, REFUSALS):
        return error
    refused = WriteRefusedError(
        translatable(
            "the database refuses the write: %(error)s; correct or drop what refuses it, nothing must be restarted",
            error=refusal_text(error),
        )
    )
    refused.__cause__ = error
    return refused


def as_unavailable(error: Exception, url: URL | None = None) -> DatabaseUnavailableError | None:
    """Return the error to answer with if `error` means that the database is in trouble, None if the unit is.

    `url`: of the database, where the error may be explained by its file.
    """
    if isinstance(error, DatabaseUnavailableError):
        return error
    # InternalError: PostgreSQL is read-only, or its files are damaged. DatabaseError itself: a SQLite file is.
    is_trouble = (
        isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeoutError)
        or type(error) is DatabaseError
        or (isinstance(error, DBAPIError) and error.connection_invalidated)
    )
    if not is_trouble or not isinstance(error, SQLAlchemyError):
        return None
    kind = LockHeldError if is_lock_timeout(error) else DatabaseUnavailableError
    unavailable = kind(
        translatable(
            "the database cannot take the write: %(error)s",
            error=cause_of(error) if url is None else cause_in(url, error),
        )
    )
    unavailable.__cause__ = error
    return unavailable
