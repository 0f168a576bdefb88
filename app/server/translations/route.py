"""Routes whose answers are in the language of the reader."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.server.translations.catalogues import languages
from app.server.translations.choice import choose_language
from app.translation import use_language

Endpoint = Callable[[Request], Awaitable[Response]]


def in_language(endpoint: Endpoint, chosen: Callable[[Request], str]) -> Endpoint:
    """Return `endpoint` in the language whose tag `chosen` returns, or that the browser asks for."""

    async def answer(http: Request) -> Response:
        accepted = http.headers.get("accept-language", "")
        language = choose_language(languages(), chosen(http), accepted)
        with use_language(language):
            response = await endpoint(http)
        response.headers["Content-Language"] = language.tag
        response.headers.append("Vary", "Accept-Language, Cookie")
        return response

    return answer


def route_in_language(path: str, endpoint: Endpoint, method: str, chosen: Callable[[Request], str]) -> BaseRoute:
    """Return a route whose answers are in the language of the reader (`in_language`)."""
    return Route(path, in_language(endpoint, chosen), methods=[method])
