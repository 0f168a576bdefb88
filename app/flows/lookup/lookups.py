"""The lookups of one process: asks them about new joins, and about those that a dead process left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.errors import UsherError
from app.flows.context import Context
from app.flows.lookup.ask import LookupAsker
from app.flows.lookup.pending_events import claim_pending, due_ids
from app.lifecycle.after_commit import PendingEvent
from app.logs import get_logger
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook
from app.rules.lookups.lookup_book import Lookup
from app.webhook.event import Event
from app.webhook.lookup_answers import with_answers

_log = get_logger(__name__)


class Lookups:
    """Asks lookups about events that are stored, then hands each event with its answers to `evaluate`.

    `book` returns the rule book in use. Events of one participant are evaluated in the order in which they came.
    """

    def __init__(
        self,
        context: Context,
        asker: LookupAsker,
        book: Callable[[], RuleBook],
        evaluate: Callable[[Event], Awaitable[object]],
    ) -> None:
        self._context = context
        self._asker = asker
        self._book = book
        self._evaluate = evaluate
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}

    def submit(self, pending: Iterable[PendingEvent]) -> None:
        """Ask about committed events, in the background."""
        for one in pending:
            if one.event.id in self._tasks:
                continue
            key = (one.event.project, one.event.participant_sid or one.event.id)
            task = asyncio.create_task(self._complete(one, self._latest.get(key)), name="usher-lookup")
            self._tasks[one.event.id] = self._latest[key] = task
            task.add_done_callback(partial(self._forget, one.event.id, key))

    async def run_once(self) -> dict[str, int]:
        """Claim overdue pending events and submit them; return how many."""
        now, in_hand = self._context.clock.now(), tuple(self._tasks)  # the read runs in another thread
        ids = await self._context.read(lambda connection: due_ids(connection, now, in_hand))
        if not ids:
            return {}

        def take_up(connection: Connection) -> list[PendingEvent]:
            # This replica may have had no webhook since the lookup was written. Not kept: an edit may be rolled back.
            book = follow(connection, self._book())
            return [PendingEvent(one, book.lookups.lookups_for(one)) for one in claim_pending(connection, ids, now)]

        pending = await self._context.writer.run(take_up)
        self.submit(pending)
        return {"lookups taken up": len(pending)}

    async def answered(self, event: Event, book: RuleBook) -> Event:
        """Return an event that is not stored, such as that of a participant to come, with the answers about it."""
        answers = await self._asker.ask(book.lookups.lookups_for(event), event)
        return with_answers(event, answers, self._context.settings.redact_of(event.project))

    async def tested(self, lookup: Lookup, event: Event) -> dict[str, Any]:
        """Ask one lookup about an event, whether or not it matches, and return the answer as a JSON object."""
        return await self._asker.test(lookup, event)

    def missing_variables(self, lookup: Lookup | None) -> list[str]:
        """Return the environment variables of the lookup's headers that are not set in this process."""
        return [] if lookup is None else self._asker.missing_variables(lookup)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the questions under way; what is left is asked again after the next start, or by another replica."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks.values(), timeout=timeout_s)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _complete(self, pending: PendingEvent, before: asyncio.Task[None] | None) -> None:
        event = pending.event
        try:
            answers = await self._asker.ask(pending.lookups, event) if pending.lookups else {}
            if before is not None:
                await asyncio.wait([before])
            await self._evaluate(with_answers(event, answers, self._context.settings.redact_of(event.project)))
        except UsherError as error:  # the database: the event stays as it is stored, and is taken up later
            _log.warning("an event with lookups could not be evaluated yet", event_id=event.id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a defect with one event must not cost others their evaluation
            self._context.defects.note("lookup", error, event_id=event.id)

    def _forget(self, event_id: str, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._tasks.pop(event_id, None)
        if self._latest.get(key) is task:
            del self._latest[key]
