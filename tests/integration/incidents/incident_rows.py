"""Reads incidents and what was sent about them, and asks the API of a world."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.engine import RowMapping

from app.accounts.roles import Role
from app.accounts.tokens import issue_token
from app.accounts.users import add_user
from tests.world.requests import request
from tests.world.world import World


def incidents(world: World, **wanted: Any) -> list[RowMapping]:
    """Return the incidents whose columns have these values, the oldest first."""
    conditions = "".join(f" AND {name} = :{name}" for name in wanted)
    return world.rows(f"SELECT * FROM incidents WHERE true{conditions} ORDER BY id", **wanted)


def document(value: Any) -> Any:
    """Return a JSON column, which SQLite gives as text."""
    return json.loads(value) if isinstance(value, str) else value


async def until_open(world: World, kind: str, *, within: float = 30.0, **wanted: Any) -> RowMapping:
    await world.until(lambda: incidents(world, kind=kind, **wanted), within=within, what=f"an incident {kind} opens")
    (row,) = incidents(world, kind=kind, **wanted)
    assert row["closed_at"] is None
    return row


async def until_closed(world: World, kind: str, *, within: float) -> RowMapping:
    def closed() -> Any:
        return [row for row in incidents(world, kind=kind) if row["closed_at"] is not None]

    await world.until(closed, within=within, what=f"the incident {kind} closes")
    (row,) = incidents(world, kind=kind)
    return row


async def a_token(world: World, role: Role = Role.ADMIN) -> str:
    """Add a user of a role, and return a token of it."""
    now = world.clock.now()

    def make(connection: Any) -> str:
        user = add_user(connection, f"a {role}", role, by="test", now=now, password_hash="-")
        return issue_token(connection, user.id, "test", role, by="test", now=now)[1]

    return await world.usher.writer.run(make)


async def ask(world: World, token: str, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
    """Return what the API answers; fail unless it does so with the expected status."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    sent = b"" if body is None else json.dumps(body).encode()
    status, _, answer = await request(world.usher.service.app, method, path, sent, headers)
    assert status == expect, answer.decode()
    return json.loads(answer)
