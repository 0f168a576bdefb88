"""An admin's token for tests that use the API of a service in this process."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2

from app.accounts.roles import Role
from app.accounts.tokens import issue_token
from app.accounts.users import add_user
from tests.harness.serving import Serving


async def token_of(
    running: Serving, role: Role = Role.ADMIN, name: str = "operator", *, projects: list[str] | None = None
) -> str:
    """Return a token of a new user of that role, for these projects."""
    writer, now = running.service.orchestrator.context.writer, datetime.now(UTC)
    user = await writer.run(lambda connection: add_user(connection, name, role, by="test", now=now, projects=projects))
    _, secret = await writer.run(lambda connection: issue_token(connection, user.id, "t", role, by="test", now=now))
    return secret


async def admin_client(running: Serving) -> httpx2.AsyncClient:
    """Return an HTTP client of the service with an admin's token."""
    headers = {"Authorization": f"Bearer {await token_of(running)}"}
    return httpx2.AsyncClient(base_url=running.url, timeout=60, headers=headers)
