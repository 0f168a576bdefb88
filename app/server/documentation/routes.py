"""`/docs`: pages, search, and the answer to addresses that are none. Open to everybody: it holds no data."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.server.documentation.library import INDEX, library
from app.server.documentation.links import DOCS
from app.server.documentation.search import MAX_QUERY, search
from app.server.templating import SECURITY_HEADERS, STATIC_VERSION, render
from app.version import usher_version

_CACHED: Final = "public, max-age=300"
"""Pages change with the version only; after an upgrade browsers show the new ones within five minutes."""


def documentation_routes() -> list[BaseRoute]:
    """Return the routes of the documentation."""
    return [
        Route("/docs", _to_index),
        Route("/docs/search", _show_results),
        Route("/docs/{name:path}", _show_page),
    ]


async def _to_index(_request: Request) -> Response:
    return RedirectResponse(DOCS, 307)


async def _show_page(request: Request) -> Response:
    name = request.path_params["name"]
    all_pages = await asyncio.to_thread(library)
    plain = name.removesuffix(".md").strip("/")
    if plain != name and plain in all_pages.pages:
        return RedirectResponse(DOCS if plain == INDEX else DOCS + plain, 307)
    page = all_pages.pages.get(name or INDEX)
    if page is None:
        query = " ".join(name.replace("-", " ").replace("/", " ").split())[:MAX_QUERY]
        found = search(all_pages.order, query)
        return _answer("docs_search.html", status=404, query=query, found=found, is_missing=True)
    before, after = all_pages.neighbours(page)
    return _answer("docs_page.html", page=page, before=before, after=after, query="")


async def _show_results(request: Request) -> Response:
    query = request.query_params.get("q", "")[:MAX_QUERY]
    all_pages = await asyncio.to_thread(library)
    return _answer("docs_search.html", query=query, found=search(all_pages.order, query), is_missing=False)


def _answer(template: str, *, status: int = 200, **values: Any) -> Response:
    text = render(
        template,
        groups=library().groups,
        version=usher_version(),
        static=f"/console/static/{STATIC_VERSION}",
        **{"page": None, **values},
    )
    headers = {**SECURITY_HEADERS, "Cache-Control": _CACHED if status == 200 else "no-store"}
    return HTMLResponse(text, status, headers)
