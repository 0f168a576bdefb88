"""The OpenAPI 3.1 document, made from the declarations of the endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from app.accounts.roles import Role
from app.json_shape import shape_of
from app.server.api.framework.endpoint import Endpoint

_REFERENCE: Final = "#/components/schemas/{model}"

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Problem details (RFC 9457). `errors` lists every mistake in the request, each with its path.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {
                    "path": {"type": "string"},
                    "message": {"type": "string"},
                    "found": {},
                    "suggestion": {"type": ["string", "null"]},
                },
            },
        },
    },
}

_WHEN: Final[Mapping[int, str]] = {
    400: "The request cannot be read.",
    401: "The token is missing or not valid.",
    403: "The token's role does not allow it.",
    404: "It does not exist.",
    409: "It conflicts with the current state.",
    412: "It has been edited since: read it again.",
    413: "The body is too large.",
    422: "The request has mistakes; all of them are listed.",
    428: "`If-Match` is missing: send the ETag of the version that you edit.",
    429: "Your previous check or simulation is still running, or too many requests wait: try again.",
    503: "The database or LiveKit does not answer: try again.",
}


def openapi_document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Return the document; it names no server, so its paths are relative to where it was fetched from."""
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Usher",
            "version": version,
            "summary": "Dispatches agents to the callers of a LiveKit deployment.",
            "description": (
                "Everything that the console can do. Create a token with `usher users token NAME` or on the console's "
                "page Users, and send it as `Authorization: Bearer usher_…`. Lists are newest first, in pages: "
                "pass `next_cursor` as `cursor` for the next one. Errors are problem details (RFC 9457)."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "an API token"}},
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.path.split("/")[3].split("{")[0] or "usher"],
    }
    role = f"Needs the role {endpoint.role}." if endpoint.role not in {None, Role.VIEWER} else ""
    description = " ".join(part for part in (endpoint.description, role) if part)
    if description:
        operation["description"] = description
    if parameters := _parameters(endpoint, schemas):
        operation["parameters"] = parameters
    if endpoint.body is not None:
        content: dict[str, Any] = {"schema": _schema(endpoint.body, "validation", schemas)}
        if endpoint.example is not None:
            content["example"] = endpoint.example
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    operation["responses"] = _responses(endpoint, schemas)
    return operation


def operation_id(endpoint: Endpoint) -> str:
    """Return the name of the operation, which is that of its handler."""
    return str(getattr(endpoint.handler, "__name__", "operation"))


def _parameters(endpoint: Endpoint, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name in re.findall(r"{(\w+)}", endpoint.path):
        numeric = name in endpoint.numeric
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if numeric:
            schema = {"type": "integer", "minimum": 1, "maximum": 2**53}
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if endpoint.query is not None:
        fields = endpoint.query.model_json_schema(ref_template=_REFERENCE)
        schemas.update(fields.pop("$defs", {}))
        for name, described in fields["properties"].items():
            described.pop("title", None)
            text = described.pop("description", None)
            parameter = {
                "name": name,
                "in": "query",
                "required": name in fields.get("required", ()),
                "schema": described,
            }
            if text:
                parameter["description"] = text
            parameters.append(parameter)
    if endpoint.idempotency_key:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "requests of one user with the same key are carried out once",
                "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            }
        )
    if endpoint.if_match:
        parameters.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "the ETag from reading the rule, or * to overwrite any edit",
                "schema": {"type": "string", "pattern": r'^("[0-9]{1,15}"|\*)$'},
            }
        )
    return parameters


def _responses(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {
        "description": HTTPStatus(endpoint.status).phrase,
        "content": {"application/json": {"schema": _schema(endpoint.answer, "serialization", schemas)}},
    }
    good["content"] |= {one.partition(";")[0]: {"schema": {"type": "string"}} for one in endpoint.streams}
    if endpoint.etag:
        good["headers"] = {"ETag": {"description": "the version of the rule", "schema": {"type": "string"}}}
    statuses = {400, 401, 403, 422, 503, *endpoint.problems}
    if "{" in endpoint.path:
        statuses.add(404)
    if endpoint.body is not None:
        statuses |= {413, 429}
    if endpoint.if_match:
        statuses |= {412, 428}
    return {
        str(endpoint.status): good,
        **{
            str(status): {
                "description": _WHEN[status],
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status in sorted(statuses)
        },
    }


def _schema(kind: Any, mode: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to, or the text of, the schema of a type; what it needs goes into `schemas`."""
    schema = dict(shape_of(kind).json_schema(mode=mode, ref_template=_REFERENCE))
    definitions = schema.pop("$defs", {})
    title = schema.get("title")
    if isinstance(title, str) and "$ref" in schema:
        # A generic type with a title of its own, such as a page of events.
        schema = {**definitions.pop(schema["$ref"].rpartition("/")[2]), "title": title}
    schemas.update(definitions)
    if schema.get("type") == "object" and isinstance(title, str) and "properties" in schema:
        schemas[title] = schema
        return {"$ref": _REFERENCE.format(model=title)}
    return schema
