"""One `usher serve` without its process: the whole service, from the webhook to the writer."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Coroutine, Mapping
from typing import Any, Self, TypeVar, cast

import aiohttp
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from app.clock import Clock
from app.db.writer import Writer
from app.flows.orchestrator import Orchestrator
from app.livekit.twirp import LiveKitApi
from app.metrics import Metrics
from app.server.webhook import WEBHOOK_PATH
from app.settings import Project, Settings
from app.simulator.webhooks import Answer
from app.wiring import Service, service
from tests.conftest import Database
from tests.world.direct import DirectListener, DirectSession
from tests.world.executor import LoopExecutor
from tests.world.lookup_services import LookupServices
from tests.world.receivers import Receivers
from tests.world.requests import request
from tests.world.virtual_time import TokenClock, VirtualTimeLoop, in_context_of

T = TypeVar("T")

Wires = Mapping[str, DirectListener]
"""By project, the way to its LiveKit."""


class Replica:
    """A running service, whose database and LiveKit can be cut off as by `kill -9`."""

    def __init__(
        self,
        database: Database,
        wires: Wires,
        clock: Clock,
        settings: Settings,
        *,
        services: LookupServices,
        receivers: Receivers,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        self.alive = True
        self.executor = LoopExecutor()
        self._loop = loop
        self._wires = wires
        self._receivers = receivers
        self._clock = clock
        self._settings = settings
        self._services = services
        self._engine = database.writer_engine()
        self._sessions: list[DirectSession] = []
        self._stopping = asyncio.Event()
        self._built: asyncio.Future[Service] = loop.create_future()
        # Whatever the service starts inherits this context, which sets its tasks apart from those of the simulator.
        self._context = in_context_of(self)
        self._serving = loop.create_task(self._serve(), context=self._context)

    @classmethod
    async def started(cls, database: Database, wires: Wires, clock: Clock, settings: Settings, **outside: Any) -> Self:
        """Return a replica that takes webhooks and whose loops run."""
        replica = cls(database, wires, clock, settings, **outside)
        replica._serving.add_done_callback(replica._give_up)
        await replica._built
        return replica

    async def _serve(self) -> None:
        async with (
            service(
                self._settings,
                clock=self._clock,
                engine=self._engine,
                executor=self.executor,
                connect=self._connect,
                lookup_client=self._services,
                environment=self._services.environment,
                senders=self._receivers,
            ) as built,
            built.app.router.lifespan_context(built.app),
        ):
            self._built.set_result(built)
            await self._stopping.wait()

    def _give_up(self, serving: asyncio.Task[None]) -> None:
        if not self._built.done() and not serving.cancelled() and (error := serving.exception()) is not None:
            self._built.set_exception(error)

    def _connect(self, project: Project, timeout_s: float, metrics: Metrics, _clock: Clock) -> LiveKitApi:
        session = DirectSession(self._wires[project.name], timeout_s)
        self._sessions.append(session)
        return LiveKitApi(project, timeout_s, metrics, TokenClock(), cast("aiohttp.ClientSession", session))

    @property
    def service(self) -> Service:
        return self._built.result()

    @property
    def orchestrator(self) -> Orchestrator:
        return self.service.orchestrator

    @property
    def writer(self) -> Writer:
        return self.orchestrator.context.writer

    @property
    def metrics(self) -> Metrics:
        return self.orchestrator.context.metrics

    async def stop(self) -> None:
        """Stop gracefully."""
        if self.alive:
            self.alive = False
            self._stopping.set()
            await self._serving

    async def kill(self) -> None:
        """Die as after `kill -9`: nothing is handed back, nothing that is under way goes on.

        The database and LiveKit are cut off first, so whatever tasks do while they are cancelled has no effect.
        """
        self.alive = False
        event.listen(self._engine, "do_connect", _refuse_connection)
        self._engine.dispose()
        for session in self._sessions:
            session.cut = True
        while tasks := self._loop.tasks_of(self):
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)

    async def post(self, body: bytes, headers: Mapping[str, str], path: str = WEBHOOK_PATH) -> Answer:
        """Post a webhook; status 0 when the replica dies before it answers."""
        answer = await self.do(request(self.service.app, "POST", path, body, headers))
        if answer is None:
            return Answer(0)
        status, received, _ = answer
        retry_after = received.get("retry-after")
        return Answer(status, float(retry_after) if retry_after else None)

    async def do(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what `work` of this replica gives; None when the replica dies before."""
        task = self._loop.create_task(work, context=self._context.copy())
        await asyncio.wait([task])
        return None if task.cancelled() else task.result()

    async def get(self, path: str) -> Any:
        """Return the JSON at `path` (or its text), as a program with the token of the metrics gets it."""
        headers = {"authorization": f"Bearer {self._settings.metrics_token.get_secret_value()}"}
        _, received, body = await request(self.service.app, "GET", path, b"", headers)
        return json.loads(body) if "json" in received.get("content-type", "") else body.decode()

    def metric(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(name, labels)
        return 0.0 if value is None else value


def _refuse_connection(*_arguments: Any) -> None:
    raise OperationalError("connect", None, OSError(errno.ECONNREFUSED, "this replica was killed"))
