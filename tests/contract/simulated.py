"""The simulated LiveKit behind the contracts' questions, twenty times as fast as the real one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Self

from livekit import api

from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour, DispatchOrder, Fault, FaultKind, Grants, Refusal, Timing, Worker
from tests.contract.livekit import Connection, WorkerKind
from tests.harness.network.relay import Relay
from tests.simulator import Simulator

TEMPO = 0.05

_BEHAVIOURS = {
    "greet": Behaviour(),
    "refuse": Behaviour(refusal=Refusal.TERMINATE),
    "stall": Behaviour(never_joins=True),
    "own_identity": Behaviour(identity="receptionist-{room}"),
    "speak": Behaviour(publishes_after=0.06),
    "session": Behaviour(publishes_after=0.06, session_ends_with_caller=True),
    "finish": Behaviour(leaves_after=1, says_on_leaving={"usher.done": "1"}),
    "raise": Behaviour(leaves_after=1),
    "remove_itself": Behaviour(leaves_after=1, leaves_with=DisconnectReason.PARTICIPANT_REMOVED),
    "delete_room": Behaviour(leaves_after=1, leaves_with=DisconnectReason.ROOM_DELETED),
}


class SimulatedLiveKit:
    """`async with SimulatedLiveKit(relay) as livekit:`; `relay` may be shared, for rooms differ in name."""

    tempo = TEMPO

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.simulator = Simulator(webhook_urls=[relay.url], timing=Timing().scaled(TEMPO))
        self.key, self.secret = self.simulator.key, self.simulator.secret
        self._workers: dict[str, Worker] = {}

    @property
    def url(self) -> str:
        return self.simulator.url

    async def __aenter__(self) -> Self:
        await self.simulator.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.simulator.stop()

    async def join(
        self,
        identity: str,
        room: str,
        *,
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        kind: str = "standard",
        kind_details: Sequence[str] = (),
        grants: Collection[str] = (),
        dispatches: Sequence[api.RoomAgentDispatch] = (),
    ) -> Connection:
        orders = [DispatchOrder(each.agent_name, each.metadata, dict(each.attributes)) for each in dispatches]
        participant = self.simulator.join(
            room,
            identity,
            kind=kind.upper(),
            kind_details=[each.upper() for each in kind_details],
            grants=Grants(**dict.fromkeys(grants, True)),
            metadata=metadata,
            attributes=attributes,
            dispatches=orders,
        )
        await self.simulator.wait_until(lambda: participant.presence.name == "ACTIVE")
        return Connection(identity, participant.sid, room, self.simulator.rooms.by_name[room].sid)

    async def publish_audio(self, connection: Connection) -> None:
        self.simulator.publish_track(connection.room, connection.identity)

    async def leave(self, connection: Connection) -> None:
        self.simulator.leave(connection.room, connection.identity)

    async def start_worker(self, agent_name: str, kind: WorkerKind = "greet") -> None:
        if agent_name not in self._workers:
            self._workers[agent_name] = self.simulator.add_worker(agent_name, _BEHAVIOURS[kind].scaled(TEMPO))

    async def kill_worker(self, agent_name: str) -> None:
        self.simulator.kill_worker(self._workers.pop(agent_name))

    async def restart(self) -> None:
        await self.simulator.restart()

    async def crash(self) -> None:
        self._workers.clear()
        await self.simulator.restart(redis=True, workers_die=True, rejoin=False)

    async def lose_redis(self) -> None:
        self.simulator.lose_redis()

    async def stop_redis(self) -> None:
        refused = "dial tcp 127.0.0.1:6379: connect: connection refused"
        texts = {
            "ListRooms": f"could not get rooms: {refused}",
            "CreateDispatch": f"could not get node for room: {refused}",
            "ListParticipants": refused,
            "RemoveParticipant": refused,
        }
        for method, text in texts.items():
            self.simulator.faults.always(method, Fault(FaultKind.REFUSE, code="unknown", message=text))
