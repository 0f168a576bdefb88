"""Pages for what no page answers: an unknown address, a method that is not allowed, a defect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.errors import UsherError
from app.logs import get_logger
from app.server.console.framework import Console, PageRequest, identify
from app.server.console.navigation import facts_of_error
from app.server.problems import error_headers, http_problem, problem, wants_page
from app.server.templating import SECURITY_HEADERS, anonymous_problem_page
from app.server.translations.route import in_language
from app.translation import translatable

_log = get_logger(__name__)

_TEXTS: Final = {
    404: translatable("there is no page at this address"),
    405: translatable("this address is not one to open in a browser"),
    500: translatable("Usher could not make this page; its log says why"),
}


class ErrorPages:
    """Answers errors that reach the application: pages to browsers in the console and the documentation, else JSON."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def answer_problem(self, http: Request, error: Exception) -> Response:
        """Answer an error of ours that its route did not answer."""
        if not isinstance(error, UsherError):
            raise error
        if wants_page(http):
            return await self._page(
                http, error.status, facts_of_error(error, http.url.path)["message"], error_headers(error)
            )
        return problem(error)

    async def answer_http(self, http: Request, error: Exception) -> Response:
        """Answer what the router refuses: an unknown path, a method that is not allowed."""
        if not isinstance(error, HTTPException):
            raise error
        if wants_page(http):
            text = _TEXTS.get(error.status_code, error.detail)
            return await self._page(http, error.status_code, text, error.headers or {})
        return http_problem(error)

    async def answer_defect(self, http: Request, _error: Exception) -> Response:
        """Answer what nothing has caught; the server logs it."""
        if wants_page(http):
            return await self._page(http, 500, _TEXTS[500], {"Cache-Control": "no-store"})
        return http_problem(HTTPException(500))

    async def _page(self, http: Request, status: int, message: str, headers: Mapping[str, str]) -> Response:
        async def make(http: Request) -> Response:
            return await self._problem_page(http, status, message)

        page = await in_language(make, self._console.cookies.language_of)(http)
        page.headers.update({**SECURITY_HEADERS, **headers})
        return page

    async def _problem_page(self, http: Request, status: int, message: str) -> Response:
        request = PageRequest(self._console, http, self._console.cookies.read(http))
        try:
            request, _ = await identify(request)
        except Exception as error:  # noqa: BLE001 - what failed may be what finds the user; the page needs none
            _log.debug("an error page is made without its user", error=str(error))
        if request.user is None:
            return HTMLResponse(anonymous_problem_page(message, status), status)
        facts: dict[str, Any] = {"message": message, "problems": [], "status_code": status, "listed": None}
        return request.page("problem.html", status=status, **facts)
