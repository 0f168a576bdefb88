"""The page Reads: which user read which call or person."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.reads import list_reads
from app.accounts.roles import Role
from app.server.console.framework import Console, PageRequest, page_route

_SHOWN: Final = 100


def reads_routes(console: Console) -> list[BaseRoute]:
    """Return the route of the page Reads."""
    return [page_route(console, "/console/reads", show_reads, Role.ADMIN)]


async def show_reads(request: PageRequest) -> Response:
    user, subject = request.field("user").strip(), request.field("subject").strip()
    cursor = request.field("before") or None
    page = await request.context.read(
        lambda connection: list_reads(
            connection, user=user or None, subject=subject or None, limit=_SHOWN, cursor=cursor
        )
    )
    chosen = {name: value for name, value in (("user", user), ("subject", subject)) if value}
    days = request.context.flow_context.settings.reads_retention_days
    return request.page(
        "reads.html",
        active="users",
        found=page.items,
        chosen={"user": user, "subject": subject},
        is_recorded=days > 0,
        next=f"/console/reads?{urlencode({**chosen, 'before': page.next_cursor})}" if page.next_cursor else "",
    )
