"""Stores messages in the transaction of the change that they report. Without a subscription, calls cost none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.types import DeliveryStatus, OutgoingEvent
from app.flows.context import Context
from app.flows.messages.call_events import call_data, call_events
from app.incidents.incident import Incident
from app.incidents.incident_store import Written, get_incident, open_incidents
from app.incidents.messages.channel import Channel, channels_of_settings, read_channels
from app.incidents.messages.delivery import (
    add_notifications,
    add_webhooks,
    drop_pending,
    opening_messages,
    read_opening,
)
from app.incidents.messages.payload import for_people, for_programs, incident_data
from app.incidents.messages.subscription import Endpoint, read_endpoints
from app.lifecycle.after_commit import AfterCommit

_OPENED, _CLOSED = OutgoingEvent.INCIDENT_OPENED, OutgoingEvent.INCIDENT_CLOSED


class MessageRecorder:
    """Stores messages for the channels and endpoints that the latest `refresh`, at most some seconds ago, has read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._of_settings = channels_of_settings(context.settings.notify_channels)
        self.endpoints: Sequence[Endpoint] = ()
        self.channels: Sequence[Channel] = self._of_settings
        self._has_recorded = False

    def refresh(self, connection: Connection) -> None:
        """Read the enabled channels and endpoints."""
        self.endpoints = read_endpoints(connection)
        self.channels = [*self._of_settings, *read_channels(connection)]

    def pop_recorded(self) -> bool:
        """Return whether a webhook of a call was stored since the last time, so that sending need not wait."""
        has_recorded, self._has_recorded = self._has_recorded, False
        return has_recorded

    def record_calls(self, connection: Connection, after: AfterCommit) -> None:
        """Store webhooks of what a transaction did to dispatches."""
        if not self.endpoints or not (after.moves or after.created):
            return
        url = self._context.settings.public_url
        found = [
            (event, call_data(dispatch, url))
            for event, dispatch in call_events(after)
            if any(one.takes(event) for one in self.endpoints)
        ]
        if found:
            self._has_recorded = True
            self._add_webhooks(connection, found, self._context.clock.now())

    def record_incidents(self, connection: Connection, written: Written) -> None:
        """Store messages of incidents that have opened or closed."""
        self.refresh(connection)
        now, url = self._context.clock.now(), self._context.settings.public_url
        events = [(_OPENED, one) for one in written.opened] + [(_CLOSED, one) for one in written.closed]
        if self.endpoints and events:
            self._add_webhooks(connection, [(event, incident_data(one, url)) for event, one in events], now)
        if self.channels:
            self._notify_of_closed(connection, written.closed, now)
            self._notify_of_open(connection, open_incidents(connection), now)

    def _notify_of_open(self, connection: Connection, lasting: Sequence[Incident], now: datetime) -> None:
        """Store messages about open incidents for channels that have none yet; not of muted ones, nor in quiet hours.

        So when quiet hours, or a mute, end, messages about what is still wrong go out.
        """
        url = self._context.settings.public_url
        missing = [
            (channel, one.id, _OPENED, for_people(one, _OPENED, url))
            for channel, one in self._unnotified(connection, lasting, now)
        ]
        add_notifications(connection, missing, now)

    def has_unnotified(self, connection: Connection, lasting: Sequence[Incident], now: datetime) -> bool:
        """Return whether a channel has no message yet about an open incident that it is to be notified of."""
        return any(self._unnotified(connection, lasting, now))

    def _unnotified(
        self, connection: Connection, lasting: Sequence[Incident], now: datetime
    ) -> list[tuple[str, Incident]]:
        unmuted = [one for one in lasting if not one.is_muted(now)]
        wanted = [(channel.name, one) for channel in self.channels for one in unmuted if channel.takes(one.kind, now)]
        opened = opening_messages(connection, [one.id for one in unmuted]) if wanted else {}
        return [(channel, one) for channel, one in wanted if (one.id, channel) not in opened]

    def _notify_of_closed(self, connection: Connection, closed: Sequence[Incident], now: datetime) -> None:
        by_id = {one.id: one for one in closed}
        opened = opening_messages(connection, by_id) if closed else {}
        for (incident_id, channel), status in opened.items():
            # One that another replica delivers at this moment is not pending any more.
            is_pending = status is DeliveryStatus.PENDING
            if not (is_pending and drop_pending(connection, incident_id, channel, now)):
                self._add_end(connection, channel, by_id[incident_id], now)

    def record_missed_end(self, connection: Connection, delivery_id: str, now: datetime) -> None:
        """Store the end of an incident that closed while the message about its opening was being delivered."""
        opening = read_opening(connection, delivery_id)
        if opening is not None:
            incident_id, channel = opening
            incident = get_incident(connection, incident_id)
            if not incident.is_open:
                self._add_end(connection, channel, incident, now)

    def _add_end(self, connection: Connection, channel: str, incident: Incident, now: datetime) -> None:
        takes = any(one.name == channel and one.takes(incident.kind, now) for one in self.channels)
        if takes and not incident.is_muted(now):
            message = for_people(incident, _CLOSED, self._context.settings.public_url)
            add_notifications(connection, [(channel, incident.id, _CLOSED, message)], now)

    def _add_webhooks(
        self, connection: Connection, events: Iterable[tuple[OutgoingEvent, dict[str, Any]]], now: datetime
    ) -> None:
        # Read again, and locked: one that is deleted meanwhile must not fail the transaction of the call.
        endpoints = read_endpoints(connection, locked=True)
        wanted = [
            (one.id, event, for_programs(event, data, now))
            for event, data in events
            for one in endpoints
            if one.takes(event)
        ]
        add_webhooks(connection, wanted, now)
