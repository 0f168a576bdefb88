"""Telephone calls as livekit-sip brings them: inbound ones ring until somebody speaks, outbound ones until answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from app.livekit.vocabulary import DisconnectReason, ParticipantKind
from app.simulator.dispatches import Dispatches
from app.simulator.entities import Identifiers, Participant, Room
from app.simulator.rooms import Rooms
from app.simulator.schedule import Schedule
from app.simulator.timing import Timing

STATUS = "sip.callStatus"
RULE = "sip.ruleID"
"""The SIP dispatch rule; only inbound legs have it."""


@dataclass(slots=True)
class Phones:
    """Makes telephone calls.

    Seen on livekit-sip with livekit-server 1.13.11: an inbound phone stops ringing when somebody else in the room
    publishes audio, not when an agent joins.
    """

    schedule: Schedule
    timing: Timing
    identifiers: Identifiers
    rooms: Rooms
    dispatches: Dispatches
    transfers: list[tuple[str, str]] = field(default_factory=list)
    """SID and destination of each transfer that was begun."""
    busy: set[str] = field(default_factory=set)
    """Destinations that take no call."""

    def __post_init__(self) -> None:
        self.rooms.published.append(self._answer_ringing)

    def call_in(
        self,
        room: str,
        caller: str,
        called: str,
        *,
        rule: str = "SDR_inbound",
        hide_number: bool = False,
        metadata: str = "",
        attributes: dict[str, str] | None = None,
    ) -> Participant:
        """Let a phone call one of our numbers; it rings. `hide_number` as the trunk's `hide_phone_number`."""
        sip = {
            "sip.callID": self.identifiers.new("SCL_"),
            "sip.callIDFull": "1@127.0.0.1",
            "sip.callTag": "T1",
            STATUS: "ringing",
            RULE: rule,
            "sip.trunkID": "ST_inbound",
        }
        if not hide_number:
            sip |= {"sip.hostname": "127.0.0.1", "sip.phoneNumber": caller, "sip.trunkPhoneNumber": called}
        known_as = hashlib.sha256(caller.encode()).hexdigest()[:16] if hide_number else caller
        return self.rooms.join(
            self.dispatches.room(room),
            f"sip_{known_as}",
            kind=ParticipantKind.SIP,
            name=f"Phone {caller[-4:] if hide_number else caller}",
            metadata=metadata,
            attributes={**sip, **(attributes or {})},
            arrived=lambda phone: self._speak(room, phone),
        )

    def call_out(
        self,
        room: str,
        identity: str,
        callee: str,
        own_number: str,
        *,
        rings_after: float = 0.1,
        answers_after: float | None = 3.0,
        busy: bool = False,
        metadata: str = "",
    ) -> Participant:
        """Dial a phone into the room (CreateSIPParticipant), which is there at once, `dialing`.

        It rings, then is answered `answers_after` seconds later (None: never) or, if `busy`, leaves with USER_REJECTED.
        """
        participant = self.rooms.join(
            self.dispatches.room(room),
            identity,
            kind=ParticipantKind.SIP,
            name="Callee",
            metadata=metadata,
            attributes={
                "sip.callID": self.identifiers.new("SCL_"),
                STATUS: "dialing",
                "sip.hostname": "127.0.0.1:5060",
                "sip.phoneNumber": callee,
                "sip.trunkID": "ST_outbound",
                "sip.trunkPhoneNumber": own_number,
            },
        )

        def ring() -> None:
            self._become(participant, "ringing")
            if busy:
                self.rooms.leave(self.rooms.by_name[room], participant, DisconnectReason.USER_REJECTED)
            elif answers_after is not None:
                self.schedule.call_later(answers_after, answer)

        def answer() -> None:
            if self._there(room, participant):
                self._become(participant, "active")
                self._speak(room, participant)

        def dialled() -> None:
            if self._there(room, participant):
                ring()

        self.schedule.call_later(rings_after, dialled)
        return participant

    async def transfer(self, room: Room, phone: Participant, transfer_to: str) -> bool:
        """Ring another phone for a call, and return whether that took it: then the call has left the room."""
        self.transfers.append((phone.sid, transfer_to))
        await self.schedule.sleep(self.timing.transfer)
        if transfer_to in self.busy or not self._there(room.name, phone):
            return False
        self._become(phone, "hangup")
        self.rooms.leave(room, phone, DisconnectReason.CLIENT_INITIATED)
        return True

    def hang_up(self, room: str, identity: str) -> None:
        """Let the far end hang up; KeyError if it is not there."""
        there = self.rooms.by_name[room]
        participant = there.participants[identity]
        self._become(participant, "hangup")
        self.rooms.leave(there, participant, DisconnectReason.CLIENT_INITIATED)

    def _there(self, room: str, participant: Participant) -> bool:
        found = self.rooms.find(room)
        return found is not None and found.participants.get(participant.identity) is participant

    def _speak(self, room: str, phone: Participant) -> None:
        def publish() -> None:
            if self._there(room, phone):
                self.rooms.publish_track(self.rooms.by_name[room], phone)

        self.schedule.call_later(self.timing.activation, publish)

    def _become(self, participant: Participant, status: str) -> None:
        self.rooms.update(participant, attributes={STATUS: status})

    def _answer_ringing(self, room: Room, publisher: Participant) -> None:
        for each in room.connected():
            if each is publisher or each.kind != ParticipantKind.SIP or RULE not in each.attributes:
                continue
            if each.attributes.get(STATUS) == "ringing":
                self._become(each, "active")
