"""What holds for every request of people and programs: which hosts are served, and headers that protect answers."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BadRequestError
from app.server.problems import problem, wants_page
from app.server.templating import SECURITY_HEADERS, anonymous_problem_page
from app.settings import Settings, accepted_hosts, host_name, is_loopback
from app.translation import translatable

ANY_HOST: Final = ("/healthz", "/readyz", "/metrics")
"""Asked by load balancers and scrapers under whatever name; `/livekit/webhook` is answered before this, likewise."""
_HSTS: Final = "max-age=31536000"
_NO_STORE: Final = ("/api/v1/", "/console/")
_CACHED: Final = "/console/static/"


class Site:
    """Wraps the application: answers 400 to requests for a host that is not ours, and adds headers to all answers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = accepted_hosts(settings.public_url, settings.allowed_hosts)
        self._always_secure = settings.sends_secure_cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._protect(path, scope["scheme"], MutableHeaders(scope=message))
            await send(message)

        if path in ANY_HOST or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send_protected)
            return
        error = BadRequestError(
            translatable("this host name is not served here; see USHER_PUBLIC_URL and USHER_ALLOWED_HOSTS")
        )
        answer = problem(error)
        if wants_page(Request(scope)):
            answer = HTMLResponse(anonymous_problem_page(str(error), error.status), error.status, SECURITY_HEADERS)
        await answer(scope, receive, send_protected)

    def _is_ours(self, headers: Headers) -> bool:
        if not self._hosts:
            return True
        names = [host_name(host) for host in headers.getlist("host")]
        return len(names) == 1 and (names[0] in self._hosts or is_loopback(names[0]))

    def _protect(self, path: str, scheme: str, headers: MutableHeaders) -> None:
        headers.setdefault("X-Content-Type-Options", "nosniff")
        if path.startswith(_NO_STORE) and not path.startswith(_CACHED):
            headers.setdefault("Cache-Control", "no-store")
        if self._always_secure or scheme == "https":
            headers.setdefault("Strict-Transport-Security", _HSTS)
