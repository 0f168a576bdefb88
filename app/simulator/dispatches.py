"""Dispatches as the server keeps them: stored, offered once, listed late, deleted on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.simulator.entities import Dispatch, Identifiers, Room
from app.simulator.jobs import Jobs
from app.simulator.ledger import DispatchEntry, Ledger
from app.simulator.rooms import Rooms
from app.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True)
class DispatchOrder:
    """The request of CreateDispatch."""

    agent_name: str
    metadata: str = ""
    attributes: Mapping[str, str] | None = None
    deployment: str = ""
    restart_policy: int = 0


@dataclass(slots=True)
class Dispatches:
    """Makes and deletes dispatches; every order makes one more, equal ones too."""

    schedule: Schedule
    identifiers: Identifiers
    rooms: Rooms
    jobs: Jobs
    ledger: Ledger

    def create(self, room_name: str, order: DispatchOrder, *, asked: float, request_id: str = "") -> Dispatch:
        """Store a dispatch, also in the ledger, and offer it; an unknown room is opened."""
        room = self.rooms.find(room_name)
        created_room = room is None
        if room is None:
            room = self.rooms.open(room_name, by_dispatch=True)
            self.automatic(room)
        dispatch = self._write(room, order)
        self.ledger.enter_dispatch(
            DispatchEntry(
                number=len(self.ledger.dispatches) + 1,
                id=dispatch.id,
                room=room.name,
                room_sid=room.sid,
                agent_name=order.agent_name,
                metadata=order.metadata,
                attributes=dispatch.attributes,
                deployment=order.deployment,
                restart_policy=order.restart_policy,
                request_id=request_id,
                at=dispatch.created_at,
                asked=asked,
                created_room=created_room,
            )
        )
        self.jobs.launch(room, dispatch)
        return dispatch

    def automatic(self, room: Room, orders: tuple[DispatchOrder, ...] = ()) -> None:
        """Make what a room has from its beginning: the dispatches of its configuration, or one with no agent name.

        These are the server's own, without an entry in the ledger.
        """
        for order in orders or (DispatchOrder(agent_name=""),):
            self.jobs.launch(room, self._write(room, order))

    def delete(self, room: Room, dispatch_id: str) -> Dispatch | None:
        """Take a dispatch off the list at once and end its jobs a little later; None when there is no such."""
        dispatch = room.dispatches.pop(dispatch_id, None)
        if dispatch is None:
            return None
        entry = self.ledger.dispatch(dispatch_id)
        if entry is not None:
            entry.deleted = self.schedule.monotonic()
        self.jobs.end(dispatch)
        return dispatch

    def _write(self, room: Room, order: DispatchOrder) -> Dispatch:
        dispatch = Dispatch(
            id=self.identifiers.new("AD_"),
            room_name=room.name,
            agent_name=order.agent_name,
            metadata=order.metadata,
            attributes=dict(order.attributes or {}),
            deployment=order.deployment,
            restart_policy=order.restart_policy,
            created_at=self.schedule.now(),
        )
        room.dispatches[dispatch.id] = dispatch
        return dispatch
