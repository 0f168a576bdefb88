"""The service in this process, without a LiveKit, and HTTP clients of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from sqlalchemy import Connection, RowMapping

from app.accounts.roles import Role
from app.accounts.tokens import issue_token
from app.accounts.users import User, add_user
from app.clock import new_id
from app.db.types import EventSource
from app.flows.accept.accept import Acceptance
from app.server.console.access import password_checker
from app.server.workers import worker_pool
from app.settings import read_settings
from app.webhook.parse import build_event
from app.wiring import Service, service
from tests.conftest import PASSWORD_HASH, Database

T = TypeVar("T")


@dataclass
class Running:
    """A running service."""

    service: Service
    database: Database

    def client(self, token: str | None = None) -> httpx2.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx2.ASGITransport(app=self.service.app)
        return httpx2.AsyncClient(transport=transport, base_url="http://usher.test", headers=headers)

    async def add_user(self, name: str, role: Role) -> User:
        now = datetime.now(UTC)
        return await self.write(lambda c: add_user(c, name, role, by="test", now=now, password_hash=PASSWORD_HASH))

    async def token(self, role: Role = Role.ADMIN, name: str | None = None) -> str:
        """Return a token of a user of that role."""
        user = await self.add_user(name or f"{role} user", role)
        now = datetime.now(UTC)
        _, secret = await self.write(lambda c: issue_token(c, user.id, "test", role, by="test", now=now))
        return secret

    async def write(self, unit: Callable[[Connection], T]) -> T:
        return await self.service.orchestrator.context.writer.run(unit)

    async def read(self, query: str) -> Sequence[RowMapping]:
        def select(connection: Connection) -> Sequence[RowMapping]:
            return connection.exec_driver_sql(query).mappings().all()

        return await self.write(select)

    async def join(self, identity: str, room: str, **participant: Any) -> tuple[str, Acceptance]:
        """Accept a join as from a webhook; return the id of the event and what became of it."""
        return await self.accept("participant_joined", identity, room, **participant)

    async def accept(self, event_type: str, identity: str, room: str, **participant: Any) -> tuple[str, Acceptance]:
        event_id, now = new_id(), datetime.now(UTC)
        metadata = participant.pop("metadata", None)
        if metadata is not None:
            participant["metadata"] = metadata if isinstance(metadata, str) else json.dumps(metadata)
        event = build_event(
            {
                "event": event_type,
                "id": f"EV_{event_id}",
                "createdAt": str(int(now.timestamp())),
                "room": {"name": room, "sid": f"RM_{room}", "turnPassword": "secret"},
                "participant": {"identity": identity, "sid": f"PA_{identity}", "state": "ACTIVE", **participant},
            },
            project="default",
            source=EventSource.WEBHOOK,
            received_at=now,
            event_id=event_id,
        )
        return event_id, await self.service.orchestrator.acceptor.accept(event)


@pytest.fixture(autouse=True)
def slow_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, attempts to log in would come back while a test uses up the others."""
    monkeypatch.setattr(password_checker, "REFILL_S", 36_000.0)


@pytest.fixture(autouse=True)
def long_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, a worker may take longer to start than a job may take."""
    monkeypatch.setattr(worker_pool, "TIME_LIMIT_S", 600.0)


@asynccontextmanager
async def running_service(database: Database, **environment: str) -> AsyncIterator[Running]:
    """Run the service without its background loops: what is accepted stays pending until a test moves it."""
    settings = {
        "LIVEKIT_URL": "http://127.0.0.1:9",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "a secret of at least thirty-two bytes",
        "DATABASE_URL": database.text,
        "USHER_SWEEP_INTERVAL": "0",
        **environment,
    }
    async with service(read_settings(settings)) as built:
        yield Running(built, database)


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Running]:
    async with running_service(database) as built:
        yield built


@pytest.fixture
async def of_projects(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """A service with the projects `a` and `b`."""
    entries = [
        {"name": name, "url": "ws://127.0.0.1:9", "api_key": name, "api_secret": name * 40} for name in ("a", "b")
    ]
    file = tmp_path / "projects.yaml"
    file.write_text(json.dumps({"projects": entries}))
    livekit = dict.fromkeys(("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"), "")
    async with running_service(database, USHER_PROJECTS_FILE=str(file), **livekit) as built:
        yield built
