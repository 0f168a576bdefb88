"""Rooms and their participants: opening, joining, leaving, closing when empty, and the webhooks about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from app.simulator.entities import Grants, Identifiers, Participant, Presence, Room, Track
from app.simulator.ledger import CallerEntry, Ledger
from app.simulator.schedule import Schedule
from app.simulator.timing import Timing
from app.simulator.webhooks import Webhooks

_END_REASONS = {
    DisconnectReason.ROOM_DELETED: "ROOM_END_API_DELETE",
    DisconnectReason.ROOM_CLOSED: "ROOM_END_IDLE_TIMEOUT",
    DisconnectReason.SERVER_SHUTDOWN: "ROOM_END_SERVER_SHUTDOWN",
}
"""`roomEndReason` of `room_finished`, sent since 1.13.11."""

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
    published: list[Callable[[Room, Participant], None]] = field(default_factory=list)

    def find(self, name: str) -> Room | None:
        return self.by_name.get(name)

    def stored(self, name: str) -> Room | None:
        """Return the room of that name if the server's store lists it."""
        room = self.by_name.get(name)
        return None if room is None or room.unlisted else room

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
        grants: Grants | None = None,
        kind_details: Sequence[str] = (),
        connects: bool = True,
        late_left: float = 0.0,
        arrived: Callable[[Participant], None] | None = None,
    ) -> Participant:
        """Let a participant join; ACTIVE (`participant_joined`) after `Timing.activation`, or never unless `connects`.

        A participant of the same identity is replaced; `late_left` seconds delay its `participant_left`, so
        that it comes after the new one's join (LiveKit #2399). A ghost of that identity is replaced without a webhook.
        `arrived` is called at ACTIVE, before the webhook.
        """
        old = room.participants.get(identity)
        if old is not None and not old.ghost:
            self.leave(room, old, DisconnectReason.DUPLICATE_IDENTITY, webhook_after=late_left)
        participant = Participant(
            sid=self.identifiers.new("PA_"),
            identity=identity,
            kind=kind,
            joined_at=self.schedule.now(),
            name=name,
            metadata=metadata,
            attributes=dict(attributes or {}),
            grants=grants or Grants(),
            kind_details=tuple(kind_details),
        )
        room.unlisted = False
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
        """Remove a participant; `participant_left`, or `participant_connection_aborted` if never ACTIVE.

        Nothing happens to one that is not there any more, or is only listed still (a ghost).
        """
        if participant.ghost or room.participants.get(participant.identity) is not participant:
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
        self._record_gone(participant, gone, reason.value)
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
        participant.unlisted = False

    def publish_track(self, room: Room, participant: Participant, name: str = "microphone") -> Track:
        """Let a participant publish audio (`track_published`)."""
        track = Track(self.identifiers.new("TR_"), name, self.schedule.now())
        participant.tracks.append(track)
        participant.version += 1
        participant.unlisted = False
        self.webhooks.notify(EventType.TRACK_PUBLISHED, room, participant, track)
        for observer in self.published:
            observer(room, participant)
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
        self.webhooks.notify(EventType.ROOM_FINISHED, room, end_reason=_END_REASONS.get(reason, ""))
        for observer in self.closed:
            observer(room)

    def forget(self, room: Room) -> None:
        """Lose a room without webhooks, as a killed server without Redis does."""
        self.by_name.pop(room.name, None)
        self._disconnect(room)

    def lose_node(self, room: Room) -> None:
        """Lose the node of a room: Redis lists the room and its participants as they were, and no webhook is sent."""
        self._disconnect(room)
        room.on_node = False
        room.lost_at = self.schedule.monotonic()
        room.dispatches.clear()
        active = {key: each for key, each in room.participants.items() if each.presence is Presence.ACTIVE}
        room.participants = active
        for participant in active.values():
            participant.ghost = True
        if room.unlisted:  # neither a node nor Redis knows it
            self.by_name.pop(room.name, None)

    def remake(self, room: Room) -> None:
        """Make a room of a lost node again: the same SID, `room_started` once more, its ghosts still listed."""
        room.on_node = True
        room.ever_joined = False
        self.webhooks.notify(EventType.ROOM_STARTED, room)
        self._close_when_empty(room)
        for observer in self.opened:
            observer(room)

    def lose_listing(self) -> None:
        """Lose what Redis held: rooms and participants live on, unlisted until something about them changes.

        A room whose node was lost before existed in Redis only.
        """
        for room in list(self.by_name.values()):
            if not room.on_node:
                del self.by_name[room.name]
                continue
            room.unlisted = True
            room.participants = {each.identity: each for each in room.connected()}
            for participant in room.participants.values():
                participant.unlisted = True

    def _disconnect(self, room: Room) -> None:
        if room.closing is not None:
            room.closing.cancel()
            room.closing = None
        now = self.schedule.monotonic()
        for participant in room.connected():
            if participant.pending is not None:
                participant.pending.cancel()
                participant.pending = None
            self._record_gone(participant, now, SERVER_LOST)
        for observer in self.closed:
            observer(room)

    def _record_gone(self, participant: Participant, at: float, reason: str) -> None:
        if participant.kind == ParticipantKind.AGENT:
            self.ledger.agent_gone(participant.sid, at, reason)
        else:
            self.ledger.caller_left(participant.sid, at, reason)

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
        timeout = room.departure_timeout
        if not room.ever_joined:
            # Counted from the creation, which is long ago for a room that was made again.
            timeout = max(0.0, room.empty_timeout - (self.schedule.now() - room.created_at).total_seconds())
        room.closing = self.schedule.call_later(timeout, lambda: self._close_if_empty(room))

    def _close_if_empty(self, room: Room) -> None:
        room.closing = None
        if not room.independent() and self.by_name.get(room.name) is room:
            self.finish(room, DisconnectReason.ROOM_CLOSED)
