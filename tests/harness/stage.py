"""Usher with a simulated LiveKit, in a thread, for a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from app.accounts.roles import Role
from app.accounts.users import add_user
from app.rules.columns import complete
from app.rules.editing.rule_set import apply_file
from app.rules.editing.rules_file import RulesFile
from app.simulator import Behaviour
from app.wiring import Service
from tests.conftest import PASSWORD_HASH
from tests.harness.login_provider import CLIENT_ID, CLIENT_SECRET, ProviderAtHand, provider_at_hand
from tests.harness.serving import serving
from tests.simulator import Simulator

T = TypeVar("T")


class Stage:
    """Usher at `url`, its LiveKit as `simulator`; `run` and `do` execute in their event loop."""

    def __init__(self, folder: Path, database_url: str | None = None, *, with_login_provider: bool = False) -> None:
        self._with_login_provider = with_login_provider
        self._database_url = database_url or f"sqlite:///{folder}/usher.db"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._stack = contextlib.AsyncExitStack()
        self.url = ""
        self.simulator: Simulator
        self.service: Service
        self.login_provider: ProviderAtHand

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
        environment = {"USHER_SWEEP_INTERVAL": "5"}
        if self._with_login_provider:
            self.login_provider = await self._stack.enter_async_context(provider_at_hand())
            environment |= {
                "USHER_PUBLIC_URL": "{url}",
                "USHER_OIDC_ISSUER": self.login_provider.url,
                "USHER_OIDC_CLIENT_ID": CLIENT_ID,
                "USHER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
                "USHER_OIDC_NAME": "Example SSO",
            }
        running = await self._stack.enter_async_context(
            serving(self._database_url, simulator_posts_webhooks=True, **environment)
        )
        self.url, self.simulator, self.service = running.url, running.simulator, running.service

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
        now = datetime.now(UTC)
        self.write(lambda c: add_user(c, name, role, by="stage", now=now, password_hash=PASSWORD_HASH))

    def add_rules(self, *rules: dict[str, Any], editor: str = "maria") -> None:
        wanted = RulesFile(tuple(complete(rule) for rule in rules))
        self.write(lambda c: apply_file(c, wanted, delete=False, editor=editor))

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

    def wait_for(self, identity: str, status: str, *, within: float = 60.0) -> None:
        """Return once the latest dispatch of a participant is in `status`."""
        deadline = time.monotonic() + within
        while self.statuses().get(identity) != status:
            if time.monotonic() > deadline:
                raise AssertionError(f"{identity} is not {status}: {self.statuses()}")
            time.sleep(0.05)


@contextlib.contextmanager
def stage(folder: Path, *, with_login_provider: bool = False) -> Iterator[Stage]:
    """Yield a stage that is torn down afterwards."""
    with Stage(folder, with_login_provider=with_login_provider) as built:
        yield built
