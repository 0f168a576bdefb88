"""Reads outside of the writer: on connections of their own, in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.db.transaction import as_unavailable
from app.errors import DatabaseUnavailableError, cause_of

T = TypeVar("T")


class Reader:
    """Runs queries in threads, on an engine whose connections only read; they see what is committed.

    `executor`: of whose threads; default: those of the event loop. One with a single thread runs them in order.
    """

    def __init__(self, engine: Engine, executor: Executor | None = None) -> None:
        self.engine = engine
        self._executor = executor

    async def run(self, load: Callable[[Connection], T]) -> T:
        """Return what `load` returns; DatabaseUnavailableError if the database does not answer."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._load, load)

    def _load(self, load: Callable[[Connection], T]) -> T:
        try:
            with self.engine.connect() as connection:
                return load(connection)
        except SQLAlchemyError as error:
            unavailable = as_unavailable(error)
            if unavailable is None:
                raise
            cause = cause_of(error)
            raise DatabaseUnavailableError(f"the database does not answer: {cause}") from error
