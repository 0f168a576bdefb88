"""The page Logins: who logged in, failed to, or was refused, newest first."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.access_log import AccessFilter, list_accesses
from app.accounts.roles import Role
from app.db.types import AccessKind
from app.server.console.framework import Console, PageRequest, page_route

_PAGE: Final = 100


def access_log_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Logins."""
    return [page_route(console, "/console/logins", show_logins, Role.ADMIN)]


async def show_logins(request: PageRequest) -> Response:
    kind, user_name = request.field("kind"), request.field("user").strip()
    kinds = tuple(each for each in AccessKind if each == kind)
    wanted = AccessFilter(user_name=user_name or None, kinds=kinds)
    cursor = request.field("cursor") or None
    page = await request.context.read(partial(list_accesses, wanted=wanted, limit=_PAGE, cursor=cursor))
    return request.page("logins.html", active="users", page=page, kinds=list(AccessKind), kind=kind, name=user_name)
