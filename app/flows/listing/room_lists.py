"""LiveKit's lists of a room, shared by those who need them at the same time, and indexed: nobody searches thousands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from app.clock import Clock
from app.flows.listing.shared_reads import SharedReads
from app.livekit.client import LiveKitClient, SeenDispatch, SeenParticipant
from app.livekit.participant.role import Role
from app.observe.ghosts import ghosts_among
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE


class ListedParticipants:
    """The participants that LiveKit lists in a room, by identity."""

    def __init__(self, participants: Sequence[SeenParticipant]) -> None:
        self._all = participants
        self._by_identity: dict[str, list[SeenParticipant]] = defaultdict(list)
        for one in participants:
            self._by_identity[one.identity].append(one)
        self.has_caller = any(one.role is Role.CALLER for one in participants)

    def of(self, identity: str) -> Sequence[SeenParticipant]:
        """Return those of this identity."""
        return self._by_identity.get(identity, ())

    def living(self, restarted_at: datetime | None) -> ListedParticipants:
        """Return the list without those who joined before LiveKit made the room again."""
        ghosts = ghosts_among(self._all, restarted_at)
        return ListedParticipants([one for one in self._all if one.sid not in ghosts]) if ghosts else self


class ListedDispatches:
    """The dispatches that LiveKit lists in a room, by id, by our mark and by the agents that their jobs name."""

    def __init__(self, listed: Sequence[SeenDispatch]) -> None:
        self.by_id = {entry.id: entry for entry in listed}
        self._by_mark: dict[str, list[SeenDispatch]] = defaultdict(list)
        self._by_agent: dict[str, list[SeenDispatch]] = defaultdict(list)
        for entry in listed:
            if mark := entry.attributes.get(DISPATCH_ID_ATTRIBUTE):
                self._by_mark[mark].append(entry)
            for identity in identities_of(entry):
                self._by_agent[identity].append(entry)

    def marked(self, dispatch_id: str) -> Sequence[SeenDispatch]:
        """Return those that carry the id of a dispatch of ours."""
        return self._by_mark.get(dispatch_id, ())

    def with_agent(self, identity: str) -> Sequence[SeenDispatch]:
        """Return those whose jobs name the agent of this identity."""
        return self._by_agent.get(identity, ())


def identities_of(entry: SeenDispatch) -> set[str]:
    """Return the identities of the agents that the jobs of a listed dispatch name."""
    return {job.participant_identity or f"agent-{job.id}" for job in entry.jobs}


class RoomLists:
    """Lists rooms of all projects; each list begins after it was asked for."""

    def __init__(self, clock: Clock) -> None:
        self._participants = SharedReads[ListedParticipants](clock)
        self._dispatches = SharedReads[ListedDispatches](clock)

    async def participants(self, client: LiveKitClient, project: str, room_name: str) -> ListedParticipants:
        """Return who is listed; raises `LiveKitUnavailableError` without an answer."""

        async def read() -> ListedParticipants:
            return ListedParticipants(await client.list_participants(room_name))

        return await self._participants.get((project, room_name), read)

    async def dispatches(self, client: LiveKitClient, project: str, room_name: str) -> ListedDispatches:
        """Return what is listed; raises `LiveKitUnavailableError` without an answer."""

        async def read() -> ListedDispatches:
            return ListedDispatches(await client.list_dispatches(room_name))

        return await self._dispatches.get((project, room_name), read)
