"""Sends what is due to people and programs: claim with a lease, send, settle."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table

from app.clock import new_id
from app.db.tables import notification_deliveries, webhook_deliveries
from app.db.types import DeliveryStatus
from app.errors import InvalidInputError, UsherError
from app.flows.context import Context
from app.flows.messages.message_recorder import MessageRecorder
from app.flows.messages.senders import Senders
from app.incidents.messages.channel import Channel
from app.incidents.messages.delivery import Claimed, SendOutcome, claim, has_due, settle
from app.incidents.messages.payload import signed_headers, trial_message, trial_webhook
from app.incidents.messages.subscription import Endpoint
from app.incidents.messages.subscription_state import note_outcome
from app.logs import get_logger
from app.translation import translatable

_log = get_logger(__name__)

SEND_EVERY_S: Final = 2.0
AT_ONCE: Final = 4
"""Webhooks that are under way to one program; to a channel one message is sent at a time."""

Send = Callable[[Claimed], Awaitable[SendOutcome]]


class MessageSender:
    """Delivers at least once; a receiver that hangs or fails holds up only its own messages."""

    def __init__(self, context: Context, recorder: MessageRecorder, senders: Senders) -> None:
        self._context = context
        self._recorder = recorder
        self._senders = senders
        self._under_way: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run_once(self) -> dict[str, int]:
        """Start to send what is due; return how much."""
        due = await self._context.read(self._find_due)
        begun = 0
        for table, target, limit, send in due:
            take = partial(self._claim, table=table, target=target, limit=limit)
            claimed = await self._context.writer.run(take, gives_way=True)
            for one in claimed:
                self._under_way[target] += 1
                task = asyncio.create_task(self._deliver(table, one, send), name="usher-message")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            begun += len(claimed)
        return {"messages": begun}

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is under way; what is not done then is sent again by the next process."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in tuple(self._tasks):
            task.cancel()

    async def try_channel(self, channel: Channel) -> SendOutcome:
        """Send a test message to a channel, and return what came of it."""
        message = trial_message(self._context.settings.public_url)
        return await self._senders.notify(channel.url, message["title"], message["text"], is_open=False)

    async def try_endpoint(self, endpoint: Endpoint) -> SendOutcome:
        """Post a test webhook to a program, of type `test`, and return what came of it."""
        return await self._post_signed(endpoint, new_id(), trial_webhook(endpoint.name, self._context.clock.now()))

    def _find_due(self, connection: Connection) -> list[tuple[Table, str, int, Send]]:
        self._recorder.refresh(connection)
        now = self._context.clock.now()
        found: list[tuple[Table, str, int, Send]] = []
        for endpoint in self._recorder.endpoints:
            free = AT_ONCE - self._under_way[endpoint.id]
            if free > 0 and has_due(connection, webhook_deliveries, endpoint.id, now):
                found.append((webhook_deliveries, endpoint.id, free, partial(self._post, endpoint)))
        for channel in self._recorder.channels:
            may_send = not self._under_way[channel.name] and not channel.is_quiet(now)
            if may_send and has_due(connection, notification_deliveries, channel.name, now):
                found.append((notification_deliveries, channel.name, 1, partial(self._notify, channel)))
        return found

    def _claim(self, connection: Connection, table: Table, target: str, limit: int) -> list[Claimed]:
        now = self._context.clock.now()
        return claim(connection, table, target, limit, owner=self._context.owner, now=now)

    async def _deliver(self, table: Table, claimed: Claimed, send: Send) -> None:
        try:
            outcome = await self._attempt(claimed, send)
            settle = partial(self._settle, table=table, claimed=claimed, outcome=outcome)
            status = await self._context.writer.run(settle, gives_way=True)
        except UsherError as error:
            _log.warning("a message could not be settled; it will be sent again", delivery=claimed.id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a defect costs one message, which is tried again after its lease
            self._context.defects.note("messages", error, delivery=claimed.id)
        else:
            if status is not DeliveryStatus.DELIVERED:
                _log.warning("a message was not delivered", delivery=claimed.id, status=status, why=outcome.text)
        finally:
            self._under_way[claimed.target] -= 1

    async def _attempt(self, claimed: Claimed, send: Send) -> SendOutcome:
        try:
            return await send(claimed)
        except Exception as error:  # noqa: BLE001 - unsettled, it would be sent again after each lease, for ever
            self._context.defects.note("messages", error, delivery=claimed.id)
            return SendOutcome(
                delivered=False, text=translatable("Usher could not send it: %(name)s", name=type(error).__name__)
            )

    def _settle(self, connection: Connection, table: Table, claimed: Claimed, outcome: SendOutcome) -> DeliveryStatus:
        now, owner = self._context.clock.now(), self._context.owner
        status = settle(connection, table, claimed, outcome, owner=owner, now=now)
        if table is webhook_deliveries:
            note_outcome(connection, claimed.target, outcome, now)
        elif status is DeliveryStatus.DELIVERED:
            self._recorder.record_missed_end(connection, claimed.id, now)
        return status

    async def _post(self, endpoint: Endpoint, claimed: Claimed) -> SendOutcome:
        return await self._post_signed(endpoint, claimed.id, claimed.payload)

    async def _post_signed(self, endpoint: Endpoint, message_id: str, body: str) -> SendOutcome:
        try:
            headers = signed_headers(message_id, endpoint.secret, body, self._context.clock.now())
        except InvalidInputError as error:
            return SendOutcome(delivered=False, text=str(error))
        return await self._senders.post(endpoint.url, headers, body)

    async def _notify(self, channel: Channel, claimed: Claimed) -> SendOutcome:
        message: dict[str, Any] = json.loads(claimed.payload)
        return await self._senders.notify(channel.url, message["title"], message["text"], is_open=message["is_open"])
