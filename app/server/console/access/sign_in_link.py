"""The link that signs in to the console of `usher demo`; `usher serve` has none."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.server.console.access.cookies import SESSION


def sign_in_route(path: str, session_secret: str) -> BaseRoute:
    """Return the route at which a browser gets the cookie of a session, and goes on to the console."""

    async def sign_in(_request: Request) -> Response:
        response = RedirectResponse("/console/", 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(SESSION, session_secret, path="/console", httponly=True, samesite="lax")
        return response

    return Route(path, sign_in)
