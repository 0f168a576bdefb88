"""Rooms and their participants: opening, joining, leaving, closing when empty, and the webhooks about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from app.simulator.entities import Identifiers, Participant, Presence, Room, Track
from app.simulator.ledger import CallerEntry, Ledger
from app.simulator.schedule import Schedule
from app.simulator.timing import Timing
from app.simulator.webhooks import Webhooks

SERVER_LOST = "SERVER_LOST"
"""Reason in the ledger for participants that a killed server lost; LiveKit sends no webhook about them."""


@dataclass(slots=True)
class Rooms:
    """All rooms of the server by name. Methods act at once; what takes time is put on the schedule."""

    schedule: Schedule
    timing: Timing
    identifiers: Identifiers
    webhooks: Webhooks
    ledger: Ledger
    by_name: dict[str, Room] = field(default_factory=dict)
    opened: list[Callable[[Room], None]] = field(default_factory=list)
    left: list[Callable[[Room, Participant], None]] = field(default_factory=list)
    closed: list[Callable[[Room], None]] = field(default_factory=list)

    def find(self, name: str) -> Room | None:
        return self.by_name.get(name)

    def open(
        self,
        name: str,
        *,
        by_dispatch: bool = False,
        empty_timeout: float = 0.0,
        departure_timeout: float = 0.0,
        max_participants: int = 0,
        metadata: str = "",
    ) -> Room:
        """Return the room of that name, made now if there was none (`room_started`); a timeout of 0 is the default."""
        room = self.by_name.get(name)
        if room is not None:
            return room
        room = Room(
            sid=self.identifiers.new("RM_"),
            name=name,
            created_at=self.schedule.now(),
            turn_password=self.identifiers.password(),
            empty_timeout=empty_timeout or self.timing.empty_timeout,
            departure_timeout=departure_timeout or self.timing.departure_timeout,
            max_participants=max_participants,
            metadata=metadata,
            by_dispatch=by_dispatch,
        )
        self.by_name[name] = room
        self.webhooks.notify(EventType.ROOM_STARTED, room)
        self._close_when_empty(room)
        for observer in self.opened:
            observer(room)
        return room

    def join(
        self,
        room: Room,
        identity: str,
        *,
        kind: str = ParticipantKind.STANDARD,
        name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        connects: bool = True,
        late_left: float = 0.0,
        arrived: Callable[[Participant], None] | None = None,
    ) -> Participant:
        """Let a participant join; ACTIVE (`participant_joined`) after `Timing.activation`, or never unless `connects`.

        A participant of the same identity is replaced; `late_left` seconds delay its `participant_left`, so
        that it comes after the new one's join (LiveKit #2399). `arrived` is called at ACTIVE, before the webhook.
        """
        old = room.participants.get(identity)
        if old is not None:
            self.leave(room, old, DisconnectReason.DUPLICATE_IDENTITY, webhook_after=late_left)
        participant = Participant(
            sid=self.identifiers.new("PA_"),
            identity=identity,
            kind=kind,
            joined_at=self.schedule.now(),
            name=name,
            metadata=metadata,
            attributes=dict(attributes or {}),
        )
        room.participants[identity] = participant
        if not participant.dependent:
            room.ever_joined = True
            if room.closing is not None:
                room.closing.cancel()
                room.closing = None
        if not connects:
            participant.pending = self.schedule.call_later(
                self.timing.join_timeout, lambda: self.leave(room, participant, DisconnectReason.JOIN_FAILURE)
            )
        elif self.timing.activation:
            participant.pending = self.schedule.call_later(
                self.timing.activation, lambda: self._activate(room, participant, arrived)
            )
        else:
            self._activate(room, participant, arrived)
        return participant

    def leave(
        self, room: Room, participant: Participant, reason: DisconnectReason, *, webhook_after: float = 0.0
    ) -> None:
        """Remove a participant; `participant_left`, or `participant_connection_aborted` if never ACTIVE."""
        if room.participants.get(participant.identity) is not participant:
            return
        del room.participants[participant.identity]
        if participant.pending is not None:
            participant.pending.cancel()
            participant.pending = None
        was_active = participant.presence is Presence.ACTIVE
        participant.presence = Presence.DISCONNECTED
        participant.leave_reason = reason
        participant.version += 1
        gone = self.schedule.monotonic()
        if participant.kind == ParticipantKind.AGENT:
            self.ledger.agent_gone(participant.sid, gone, reason.value)
        else:
            self.ledger.caller_left(participant.sid, gone, reason.value)
        event = EventType.PARTICIPANT_LEFT if was_active else EventType.PARTICIPANT_CONNECTION_ABORTED
        if webhook_after:
            self.schedule.call_later(webhook_after, lambda: self.webhooks.notify(event, room, participant))
        else:
            self.webhooks.notify(event, room, participant)
        for observer in self.left:
            observer(room, participant)
        if self.by_name.get(room.name) is room:
            self._close_when_empty(room)

    def update(
        self,
        participant: Participant,
        *,
        metadata: str = "",
        name: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Change a participant; empty texts change nothing, an attribute set to "" is removed. No webhook."""
        participant.metadata = metadata or participant.metadata
        participant.name = name or participant.name
        for key, value in (attributes or {}).items():
            if value:
                participant.attributes[key] = value
            else:
                participant.attributes.pop(key, None)
        participant.version += 1

    def publish_track(self, room: Room, participant: Participant, name: str = "microphone") -> Track:
        """Let a participant publish audio (`track_published`)."""
        track = Track(self.identifiers.new("TR_"), name, self.schedule.now())
        participant.tracks.append(track)
        participant.version += 1
        self.webhooks.notify(EventType.TRACK_PUBLISHED, room, participant, track)
        return track

    def finish(self, room: Room, reason: DisconnectReason) -> None:
        """Close a room: everybody leaves, then `room_finished`."""
        if self.by_name.pop(room.name, None) is None:
            return
        if room.closing is not None:
            room.closing.cancel()
            room.closing = None
        for participant in list(room.participants.values()):
            self.leave(room, participant, reason)
        self.webhooks.notify(EventType.ROOM_FINISHED, room)
        for observer in self.closed:
            observer(room)

    def forget(self, room: Room) -> None:
        """Lose a room without webhooks, as a killed server does."""
        self.by_name.pop(room.name, None)
        if room.closing is not None:
            room.closing.cancel()
        now = self.schedule.monotonic()
        for participant in room.participants.values():
            if participant.pending is not None:
                participant.pending.cancel()
            if participant.kind == ParticipantKind.AGENT:
                self.ledger.agent_gone(participant.sid, now, SERVER_LOST)
            else:
                self.ledger.caller_left(participant.sid, now, SERVER_LOST)
        for observer in self.closed:
            observer(room)

    def _activate(self, room: Room, participant: Participant, arrived: Callable[[Participant], None] | None) -> None:
        participant.pending = None
        participant.presence = Presence.ACTIVE
        participant.version += 1
        if participant.kind != ParticipantKind.AGENT:
            self.ledger.enter_caller(
                CallerEntry(
                    room.name,
                    room.sid,
                    participant.identity,
                    participant.sid,
                    str(participant.kind),
                    self.schedule.monotonic(),
                )
            )
        if arrived is not None:
            arrived(participant)
        self.webhooks.notify(EventType.PARTICIPANT_JOINED, room, participant)

    def _close_when_empty(self, room: Room) -> None:
        if room.independent() or room.closing is not None:
            return
        timeout = room.departure_timeout if room.ever_joined else room.empty_timeout
        room.closing = self.schedule.call_later(timeout, lambda: self._close_if_empty(room))

    def _close_if_empty(self, room: Room) -> None:
        room.closing = None
        if not room.independent() and self.by_name.get(room.name) is room:
            self.finish(room, DisconnectReason.ROOM_CLOSED)
