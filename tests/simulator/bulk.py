"""Many callers at a steady rate, each in a room of their own (or several to a room)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.livekit.vocabulary import ParticipantKind
from app.simulator.entities import Participant, Presence, Room
from tests.simulator.simulator import Simulator


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers to come: `{n}` in the texts is the caller's number, `{r}` the room's, both from `first` and 0 on."""

    count: int
    rate: float
    """Joins per second."""
    room: str = "call-{r}"
    identity: str = "caller-{n}"
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: ParticipantKind = ParticipantKind.STANDARD
    per_room: int = 1
    first: int = 0
    stay: float | None = None
    """Seconds until each leaves; None: they stay."""


@dataclass(slots=True)
class Campaign:
    """The joins of `callers`; `joined` counts them while `run` goes on."""

    simulator: Simulator
    callers: Callers
    joined: int = 0

    async def run(self) -> None:
        """Let all callers join on time, or as fast as the machine can."""
        schedule = self.simulator.schedule
        started = schedule.monotonic()
        while self.joined < self.callers.count:
            due = min(self.callers.count, int((schedule.monotonic() - started) * self.callers.rate) + 1)
            while self.joined < due:
                self._join(self.joined)
                self.joined += 1
            await asyncio.sleep(min(0.002, 1 / self.callers.rate))

    def _join(self, number: int) -> None:
        callers = self.callers
        places = {"n": str(callers.first + number), "r": str((callers.first + number) // callers.per_room)}
        room, identity = _fill(callers.room, places), _fill(callers.identity, places)
        self.simulator.join(
            room,
            identity,
            kind=callers.kind,
            metadata=_fill(callers.metadata, places),
            attributes={key: _fill(value, places) for key, value in callers.attributes.items()},
        )
        if callers.stay is not None:
            self.simulator.schedule.call_later(callers.stay, lambda: self._leave(room, identity))

    def _leave(self, room: str, identity: str) -> None:
        there = self.simulator.room(room)
        if there is not None and identity in there.participants:
            self.simulator.leave(room, identity)


def place(simulator: Simulator, room_name: str, room_sid: str, identity: str, sid: str) -> None:
    """Let a caller be in a room of its own, without a webhook: another program sends those, with these SIDs."""
    now = simulator.schedule.now()
    caller = Participant(sid, identity, ParticipantKind.STANDARD, now, presence=Presence.ACTIVE)
    room = simulator.rooms.by_name.setdefault(room_name, Room(room_sid, room_name, now, "", 300.0, 20.0))
    room.sid, room.ever_joined = room_sid, True  # a dispatch that was faster has opened it
    room.participants[identity] = caller


def _fill(text: str, places: Mapping[str, str]) -> str:
    # Not str.format: metadata is JSON, full of braces.
    for name, value in places.items():
        text = text.replace("{" + name + "}", value)
    return text
