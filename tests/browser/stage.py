"""Usher with a simulated LiveKit, in a thread, for a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn

from app.accounts.password import hash_password
from app.accounts.roles import Role
from app.accounts.users import add_user
from app.rules.columns import complete
from app.rules.editing.rule_set import apply_rules
from app.settings import read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, Behaviour
from app.wiring import Service, service
from tests.simulator import Simulator

T = TypeVar("T")
PASSWORD = "correct horse battery"


class Stage:
    """Usher at `url`, its LiveKit as `simulator`; `run` and `do` execute in their event loop."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self._database_url = database_url or f"sqlite:///{folder}/usher.db"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._stack = contextlib.AsyncExitStack()
        self.url = ""
        self.simulator: Simulator
        self.service: Service

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)  # noqa: FBT003 - the socket API
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.simulator = await self._stack.enter_async_context(Simulator(webhook_urls=[f"{self.url}/livekit/webhook"]))
        settings = read_settings(
            {
                "LIVEKIT_URL": self.simulator.url,
                "LIVEKIT_API_KEY": SIMULATOR_KEY,
                "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
                "DATABASE_URL": self._database_url,
                "USHER_SWEEP_INTERVAL": "5",
            }
        )
        self.service = await self._stack.enter_async_context(service(settings))
        config = uvicorn.Config(self.service.app, log_config=None, access_log=False, lifespan="on")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # a thread may not
        serving = asyncio.create_task(server._serve(sockets=[listener]))

        async def stop() -> None:
            server.should_exit = True
            await serving
            listener.close()

        self._stack.push_async_callback(stop)
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
            await asyncio.sleep(0.01)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns, done in the stage's loop."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(60)

    def do(self, act: Callable[[], T]) -> T:
        """Return what `act` returns, called in the stage's loop."""

        async def call() -> T:
            return act()

        return self.run(call())

    def write(self, unit: Callable[[Any], T]) -> T:
        return self.run(self.service.orchestrator.context.writer.run(unit))

    def add_user(self, name: str, role: Role) -> None:
        stored = hash_password(PASSWORD)
        self.write(lambda c: add_user(c, name, role, by="stage", now=datetime.now(UTC), password_hash=stored))

    def add_rules(self, *rules: dict[str, Any], editor: str = "maria") -> None:
        rows = [complete(rule) for rule in rules]
        self.write(lambda c: apply_rules(c, rows, delete=False, editor=editor))

    def add_worker(self, agent_name: str, behaviour: Behaviour | None = None) -> None:
        self.do(lambda: self.simulator.add_worker(agent_name, behaviour))

    def join(self, room: str, identity: str, metadata: Any = None, **participant: Any) -> None:
        text = "" if metadata is None else json.dumps(metadata)
        self.do(lambda: self.simulator.join(room, identity, metadata=text, **participant))

    def rows(self, query: str) -> list[dict[str, Any]]:
        return self.write(lambda c: [dict(row) for row in c.exec_driver_sql(query).mappings()])

    def statuses(self) -> dict[str, str]:
        """Return the state of the latest dispatch of each participant."""
        rows = self.rows("SELECT participant_identity, status FROM dispatches ORDER BY id")
        return {row["participant_identity"]: row["status"] for row in rows}

    def wait_for(self, identity: str, status: str, *, within: float = 20.0) -> None:
        """Return once the latest dispatch of a participant is in `status`."""
        deadline = time.monotonic() + within
        while self.statuses().get(identity) != status:
            if time.monotonic() > deadline:
                raise AssertionError(f"{identity} is not {status}: {self.statuses()}")
            time.sleep(0.05)


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Yield a stage that is torn down afterwards."""
    with Stage(folder) as built:
        yield built
