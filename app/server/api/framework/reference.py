"""The reference page of the API: plain HTML made from the OpenAPI document, without script."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import HTMLResponse, Response

from app.server.templating import SECURITY_HEADERS, render


def reference_page(document: dict[str, Any]) -> Response:
    """Return the page as a response."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "id": operation["operationId"],
                    "summary": operation["summary"],
                    "description": operation.get("description", ""),
                    "parameters": operation.get("parameters", []),
                    "body": _body(operation),
                    "answers": [
                        {"status": status, "text": answer["description"], "schema": _answer_schema(answer)}
                        for status, answer in operation["responses"].items()
                    ],
                }
            )
    schemas = document["components"]["schemas"]
    text = render("reference.html", groups=groups, schemas=schemas, info=document["info"], as_json=_as_json)
    return HTMLResponse(text, headers=dict(SECURITY_HEADERS))


def _body(operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return {"schema": _schema_name(content["schema"]), "example": content.get("example")}


def _answer_schema(answer: dict[str, Any]) -> str:
    return next((_schema_name(content["schema"]) for content in answer.get("content", {}).values()), "")


def _schema_name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
