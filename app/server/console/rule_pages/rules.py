"""The page Rules: the list in matching order."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.server.console.framework import Console, PageRequest, page_route
from app.server.console.rule_pages.editor.rule_editor import rule_editor_routes
from app.server.console.rule_pages.rule_list import Lines, book_lines
from app.server.console.rule_pages.rule_switches import Switched, read_switched, rule_switches_routes
from app.server.request_text import whole_number


def rules_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the list and of the editor."""
    return [
        page_route(console, "/console/rules", show_rules),
        *rule_editor_routes(console),
        *rule_switches_routes(console),
    ]


async def show_rules(request: PageRequest) -> Response:
    start, search = whole_number(request.field("after")) or 0, request.field("search").strip()

    def load(connection: Connection) -> tuple[Lines, Switched | None]:
        book = request.context.book(connection)
        found = book_lines(connection, book, start=start, search=search)
        return found, read_switched(connection, book, request, whole_number(request.field("rule")))

    found, switched = await request.context.read(load)
    return request.page("rules.html", active="rules", found=found, search=search, start=start, switched=switched)
