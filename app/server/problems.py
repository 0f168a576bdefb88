"""Errors as problem details (RFC 9457), with every mistake and its path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import (
    DatabaseUnavailableError,
    InvalidInputError,
    NotAuthenticatedError,
    Problem,
    TooManyRequestsError,
    UsherError,
    WriteRefusedError,
)

_READ_BY_PEOPLE: Final = ("/console", "/docs")
_MAX_FOUND = 200  # characters of a value that is no JSON


def problem(error: UsherError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for `error`: its status, its message, and the mistakes in what was sent."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
    }
    if isinstance(error, InvalidInputError):
        body["errors"] = [problem_json(one) for one in error.problems]
    return _response(body, {**error_headers(error), **(headers or {})})


def problem_json(one: Problem) -> dict[str, Any]:
    """Return one mistake as a JSON object."""
    return {
        "path": _as_json(one.path),
        "message": _as_json(one.message),
        "found": _as_json(one.found),
        "suggestion": _as_json(one.suggestion),
    }


def _as_json(value: Any) -> Any:
    """Return `value` if JSON can carry it, or its ASCII form in Python if not (infinity, half a surrogate pair)."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        return ascii(value)[:_MAX_FOUND]
    return value


def http_problem(error: HTTPException) -> Response:
    """Return the answer for what the router refuses."""
    title = HTTPStatus(error.status_code).phrase
    body = {"type": "about:blank", "title": title, "status": error.status_code, "detail": error.detail}
    return _response(body, error.headers or {})


def error_headers(error: UsherError) -> dict[str, str]:
    """Return the headers that an answer for `error` has."""
    match error:
        case NotAuthenticatedError():
            return {"WWW-Authenticate": 'Bearer realm="usher"'}
        case TooManyRequestsError():
            return {"Retry-After": str(error.retry_after_s)}
        case DatabaseUnavailableError() | WriteRefusedError():
            return {"Retry-After": "1"}
        case _:
            return {}


def _response(body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    text = json.dumps(body, default=str)
    return Response(text, body["status"], headers=headers, media_type="application/problem+json")


def wants_page(http: Request) -> bool:
    """Return whether a browser asks for a page of the console or of the documentation."""
    path = http.url.path
    is_read = any(path == one or path.startswith(f"{one}/") for one in _READ_BY_PEOPLE)
    return is_read and "text/html" in http.headers.get("accept", "")
