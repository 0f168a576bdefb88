"""Transactions that change dispatches: each is followed, once it is committed, by what it left to be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from app.db.writer import Writer
from app.lifecycle.after_commit import AfterCommit

T = TypeVar("T")
ItemT = TypeVar("ItemT")


class Transactions:
    """Runs units that change dispatches and hands each committed transaction's `AfterCommit` to `follow`, once."""

    def __init__(
        self,
        writer: Writer,
        follow: Callable[[AfterCommit], None],
        record: Callable[[Connection, AfterCommit], None] = lambda _connection, _after: None,
    ) -> None:
        """`record` adds to each transaction, at its end, what belongs to it."""
        self._writer = writer
        self._follow = follow
        self._record = record

    async def run(self, unit: Callable[[Connection, AfterCommit], T], *, project: str = "") -> T:
        """Return what `unit` returns once its transaction is on the disk and what follows has begun.

        `project`: whose share of the writer it takes.
        """

        def transact(connection: Connection) -> tuple[T, AfterCommit]:
            after = AfterCommit()
            result = unit(connection, after)
            self._record(connection, after)
            return result, after

        result, after = await self._writer.run(transact, share=project)
        self._carry_out(after)
        return result

    def batched(
        self,
        handler: Callable[[Connection, AfterCommit, Sequence[ItemT]], Sequence[T]],
        *,
        background: bool = False,
        project_of: Callable[[ItemT], str],
        window_of: Callable[[ItemT], float] = lambda _item: 0.0,
    ) -> Callable[[ItemT], Awaitable[T]]:
        """Return a function that gives one item to `handler`, together with the items that wait at the same time.

        Each item takes the share of the writer that `project_of` says, and may wait for others for as many seconds as
        `window_of` says. What follows begins at the commit, before the disk has it: from then on no death of this
        process undoes it.
        """

        def transact(connection: Connection, items: Sequence[ItemT]) -> list[tuple[T, AfterCommit]]:
            after = AfterCommit()
            results = handler(connection, after, items)
            self._record(connection, after)
            return [(result, after) for result in results]

        def on_commit(result: tuple[T, AfterCommit]) -> None:
            self._carry_out(result[1])

        async def run(item: ItemT) -> T:
            result, _ = await self._writer.run_batched(
                transact,
                item,
                background=background,
                on_commit=on_commit,
                share=project_of(item),
                window_s=window_of(item),
            )
            return result

        return run

    def _carry_out(self, after: AfterCommit) -> None:
        if not after.is_carried_out:
            after.is_carried_out = True
            self._follow(after)
