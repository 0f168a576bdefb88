"""Dispatches as the server keeps them: stored, offered once, listed late, deleted on request."""

from __future__ import annotations

from dataclasses import dataclass

from app.simulator.agents.jobs import Jobs
from app.simulator.entities import Dispatch, DispatchOrder, Identifiers, Room
from app.simulator.ledger import DispatchEntry, Ledger
from app.simulator.rooms import Rooms
from app.simulator.schedule import Schedule


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
        created_room = self.rooms.find(room_name) is None
        room = self.room(room_name, by_dispatch=True)
        dispatch = self._write(room, order)
        number = len(self.ledger.dispatches) + 1
        self.ledger.enter_dispatch(
            _entry(room, dispatch, number, asked=asked, request_id=request_id, created_room=created_room)
        )
        self.jobs.launch(room, dispatch)
        return dispatch

    def room(self, name: str, orders: tuple[DispatchOrder, ...] = (), *, by_dispatch: bool = False) -> Room:
        """Return the room of that name; it is opened with `orders`, or made again with its own if its node was lost."""
        room = self.rooms.find(name)
        if room is None:
            room = self.rooms.open(name, by_dispatch=by_dispatch)
            self.automatic(room, orders)
        elif not room.on_node:
            self.rooms.remake(room)
            # The token of who comes first replaces the orders of the token before, if it has any.
            self.automatic(room, orders or room.own_dispatches)
        return room

    def automatic(self, room: Room, orders: tuple[DispatchOrder, ...] = ()) -> None:
        """Make what a room has from its beginning: the dispatches of its configuration, or one with no agent name.

        The ledger keeps those that name an agent in `from_tokens`, apart from the calls.
        """
        room.own_dispatches = orders
        for order in orders or (DispatchOrder(agent_name=""),):
            dispatch = self._write(room, order)
            if order.agent_name:
                number = len(self.ledger.from_tokens) + 1
                self.ledger.enter_from_token(_entry(room, dispatch, number, asked=self.schedule.monotonic()))
            self.jobs.launch(room, dispatch)

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


def _entry(
    room: Room, dispatch: Dispatch, number: int, *, asked: float, request_id: str = "", created_room: bool = False
) -> DispatchEntry:
    return DispatchEntry(
        number=number,
        id=dispatch.id,
        room=room.name,
        room_sid=room.sid,
        agent_name=dispatch.agent_name,
        metadata=dispatch.metadata,
        attributes=dispatch.attributes,
        deployment=dispatch.deployment,
        restart_policy=dispatch.restart_policy,
        request_id=request_id,
        at=dispatch.created_at,
        asked=asked,
        created_room=created_room,
    )
