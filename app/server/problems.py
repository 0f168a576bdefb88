"""Errors as problem details (RFC 9457), with every problem and its path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from app.errors import InvalidInputError, UsherError


def problem(error: UsherError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for `error`: its status, and what is wrong in words and in data."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
    }
    if isinstance(error, InvalidInputError):
        body["errors"] = [
            {"path": one.path, "message": one.message, "found": one.found, "suggestion": one.suggestion}
            for one in error.problems
        ]
    return Response(json.dumps(body, default=str), error.status, headers=headers, media_type="application/problem+json")
