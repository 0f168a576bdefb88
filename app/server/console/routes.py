"""All routes of the console."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.server.console.access.access_log import access_log_routes
from app.server.console.access.account import account_routes
from app.server.console.access.cookies import Cookies
from app.server.console.access.login import login_routes
from app.server.console.access.password_checker import PasswordChecker
from app.server.console.access.provider_login import provider_login_routes
from app.server.console.access.reads import reads_routes
from app.server.console.access.users import users_routes
from app.server.console.agent_pages.agents import agents_routes
from app.server.console.agent_pages.probe import probe_routes
from app.server.console.agent_pages.queue import queue_routes
from app.server.console.calls import calls_routes
from app.server.console.figures.trends import trends_routes
from app.server.console.framework import Console
from app.server.console.incident_pages.incidents import incidents_routes
from app.server.console.incident_pages.notifications import notifications_routes
from app.server.console.now import now_routes
from app.server.console.rule_pages.history import history_routes
from app.server.console.rule_pages.lookups import lookups_routes
from app.server.console.rule_pages.rules import rules_routes
from app.server.console.saved_views.saved_views import saved_views_routes
from app.server.console.simulate import simulate_routes
from app.server.request_context import RequestContext
from app.server.templating import HERE, STATIC_VERSION
from app.server.translations.catalogues import languages


class _Static(StaticFiles):
    """Our files; those under an address with the version in it may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if STATIC_VERSION in scope["path"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def new_console(context: RequestContext) -> Console:
    """Return what the pages of this process share."""
    languages()  # a file that cannot be read is a matter of the start
    clock = context.flow_context.clock
    cookies = Cookies(context.key, context.flow_context.settings, clock)
    return Console(context, cookies, PasswordChecker(clock))


def console_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the console."""

    async def enter(_request: Request) -> Response:
        return RedirectResponse("/console/", 307)

    files = _Static(directory=HERE / "static")
    return [
        Route("/", enter),
        Route("/console", enter),
        Mount(f"/console/static/{STATIC_VERSION}", files),
        Mount("/console/static", files),
        *login_routes(console),
        *provider_login_routes(console),
        *account_routes(console),
        *now_routes(console),
        *calls_routes(console),
        *saved_views_routes(console),
        *rules_routes(console),
        *lookups_routes(console),
        *history_routes(console),
        *agents_routes(console),
        *probe_routes(console),
        *queue_routes(console),
        *trends_routes(console),
        *incidents_routes(console),
        *notifications_routes(console),
        *simulate_routes(console),
        *users_routes(console),
        *access_log_routes(console),
        *reads_routes(console),
    ]
