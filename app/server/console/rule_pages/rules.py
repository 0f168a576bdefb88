"""The page Rules: the list in matching order."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.rules.editing.edit_rule import change_rule, delete_rule
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.console.rule_pages.rule_editor import rule_editor_routes
from app.server.console.rule_pages.rule_list import book_lines
from app.server.request_text import whole_number


def rules_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the list and of the editor."""
    return [
        page_route(console, "/console/rules", show_rules),
        *rule_editor_routes(console),
        form_route(console, "/console/rules/{rule_id:int}/switch", switch, Role.EDITOR),
        form_route(console, "/console/rules/{rule_id:int}/delete", delete, Role.EDITOR),
    ]


async def show_rules(request: PageRequest) -> Response:
    start, search = whole_number(request.field("after")) or 0, request.field("search").strip()
    found = await request.context.read(lambda c: book_lines(c, request.context.book(c), start=start, search=search))
    return request.page("rules.html", active="rules", found=found, search=search)


async def switch(request: PageRequest) -> Response:
    rule_id, editor = request.http.path_params["rule_id"], request.signed_in.name
    columns = {"enabled": request.field("enabled") == "on"}
    await request.context.write(lambda c: change_rule(c, rule_id, columns, editor, None, whole=False))
    return redirect("/console/rules", "saved")


async def delete(request: PageRequest) -> Response:
    rule_id, editor = request.http.path_params["rule_id"], request.signed_in.name
    await request.context.write(lambda c: delete_rule(c, rule_id, editor, None))
    return redirect("/console/rules", "deleted")
