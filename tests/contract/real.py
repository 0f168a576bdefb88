"""The real livekit-server behind the contracts' questions, with real workers and participants over WebRTC."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from livekit import api

from tests.contract.livekit import Connection, WorkerKind
from tests.harness.livekit.participants import Participant
from tests.harness.livekit.worker import Worker
from tests.harness.scene import Scene


class RealLiveKit:
    """One scene of the end-to-end tests, shared by all contracts; workers stay once they are started."""

    tempo = 1.0

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.relay = scene.relay
        self.url = scene.server.http_url
        self.key, self.secret = scene.server.api_key, scene.server.api_secret
        self._participants: dict[str, Participant] = {}
        self._workers: dict[str, Worker] = {}

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
        def join() -> Participant:
            return self._scene.join(
                identity,
                room,
                metadata=metadata,
                attributes=attributes,
                kind=kind,
                kind_details=kind_details,
                grants=grants,
                dispatches=dispatches,
            )

        participant = await asyncio.to_thread(join)
        self._participants[participant.sid] = participant
        await asyncio.to_thread(self._wait_until_active, room, participant.sid)
        return Connection(identity, participant.sid, room, participant.room_sid)

    def _wait_until_active(self, room: str, sid: str) -> None:
        joined = self.relay.wait_for("participant_joined", room=room)
        while joined.webhook["participant"]["sid"] != sid:
            found = [
                each
                for each in self.relay.deliveries("participant_joined", room=room)
                if each.webhook["participant"]["sid"] == sid
            ]
            joined = found[0] if found else joined

    async def publish_audio(self, connection: Connection) -> None:
        await asyncio.to_thread(self._participants[connection.sid].publish_audio)

    async def leave(self, connection: Connection) -> None:
        await asyncio.to_thread(self._participants.pop(connection.sid).leave)

    async def start_worker(self, agent_name: str, kind: WorkerKind = "greet") -> None:
        if agent_name not in self._workers:
            start = lambda: self._scene.start_worker(agent_name, behaviour=kind)  # noqa: E731 - one thread's whole work
            self._workers[agent_name] = await asyncio.to_thread(start)

    async def kill_worker(self, agent_name: str) -> None:
        await asyncio.to_thread(self._workers.pop(agent_name).kill)

    async def restart(self) -> None:
        await asyncio.to_thread(self._scene.server.restart)


class RealLiveKitWithRedis(RealLiveKit):
    """A real server with a real Redis."""

    async def crash(self) -> None:
        def crash() -> None:
            for process in (self._scene.participants, *self._workers.values(), self._scene.server):
                process.kill()
            self._workers.clear()
            self._participants.clear()
            self._scene.server.start()
            self._scene.participants.start()

        await asyncio.to_thread(crash)

    async def lose_redis(self) -> None:
        assert self._scene.redis is not None
        await asyncio.to_thread(self._scene.redis.lose_everything)

    async def stop_redis(self) -> None:
        assert self._scene.redis is not None
        await asyncio.to_thread(self._scene.redis.kill)
