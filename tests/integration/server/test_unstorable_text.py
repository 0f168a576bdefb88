"""NUL and halves of surrogate pairs in any field of any request are answered 400, on both databases."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from app.accounts.roles import Role
from app.server.request_text import RECORD_ID
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import RULE, csrf_of, log_in

ODD = ("a\0b", "\ud800", "\udfffx", "\0")
ADDRESS = ("%00", "a%00b")


@pytest.fixture
async def admin(running: Running) -> httpx2.AsyncClient:
    return running.client(await running.token())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in an example, those of objects and lists too."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in entries:
        yield from places(entry, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = replaced(changed[path[0]], path[1:], new)
    return changed


def example_of(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """Return a body with every field that the schema knows."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return example_of(one, schemas, depth + 1)
    if "properties" in schema:
        return {name: example_of(one, schemas, depth + 1) for name, one in schema["properties"].items()}
    if schema.get("type") == "array" and depth < 6:
        return [example_of(schema.get("items", {}), schemas, depth + 1)]
    return schema.get(
        "enum", [{"integer": 1, "number": 1, "boolean": True, "object": {"x": "y"}}.get(str(schema.get("type")), "x")]
    )[0]


async def test_every_field_of_every_body_of_the_api(admin: httpx2.AsyncClient) -> None:
    document = (await admin.get("/api/openapi.json")).json()
    schemas = document["components"]["schemas"]
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue
            content = operation["requestBody"]["content"]["application/json"]
            example = example_of(content["schema"], schemas)
            for number, place in enumerate(places(example)):
                odd = ODD[number % len(ODD)]
                for value in (odd, {odd: 1}):
                    body = json.dumps(replaced(example, place, value))
                    headers = {"If-Match": "*"}
                    answer = await admin.request(method, re.sub("{.*?}", "1", path), content=body, headers=headers)
                    assert answer.status_code == 400, (method, path, place, answer.text)
                    assert "NUL character or half of a surrogate pair" in answer.json()["detail"]
                    tried += 1
    assert tried > 200


async def test_every_parameter_of_every_address_of_the_api(admin: httpx2.AsyncClient) -> None:
    document = (await admin.get("/api/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = b"{}" if "requestBody" in operation else None
            for parameter in operation.get("parameters", []):
                for odd in ADDRESS:
                    name, address = parameter["name"], path
                    if parameter["in"] == "header":
                        continue
                    if parameter["in"] == "path":
                        address = path.replace(f"{{{name}}}", odd)
                    plain = re.sub("{.*?}", "1", address)
                    query = f"?{name}={odd}" if parameter["in"] == "query" else ""
                    answer = await admin.request(method, plain + query, content=body)
                    numeric = parameter["in"] == "path" and parameter["schema"]["type"] == "integer"
                    assert answer.status_code == (404 if numeric else 400), (method, plain + query, answer.text)


async def test_every_field_and_address_of_the_console(running: Running) -> None:
    await running.add_user("eva", Role.ADMIN)
    async with running.client() as client:
        assert (await log_in(client, "eva")).status_code == 303
        csrf = csrf_of(await client.get("/console/account"))
        routes = [one for one in running.service.app.routes if isinstance(one, Route) and "/console/" in one.path]
        for route in routes:
            if "{" in route.path and f":{RECORD_ID}" not in route.path and "static" not in route.path:
                await _each_parameter(client, route, csrf)
            plain = re.sub("{.*?}", "1", route.path)
            if route.methods and "POST" in route.methods:
                for name in ("name", "why", "search", "csrf", "next", *RULE):
                    fields = {"csrf": csrf, name: "a\0b"}
                    answer = await client.post(plain, data=fields)
                    assert answer.status_code == 400, (plain, name, answer.status_code)
            elif "static" not in plain:
                for name in ("search", "hours", "cursor", "rule", "name", "agent", "identity", "done", "of"):
                    answer = await client.get(f"{plain}?{name}=%00")
                    assert answer.status_code == 400, (plain, name, answer.status_code)


async def _each_parameter(client: httpx2.AsyncClient, route: Route, csrf: str) -> None:
    for odd in ADDRESS:
        address = re.sub("{.*?}", odd, route.path)
        if route.methods and "POST" in route.methods:
            answer = await client.post(address, data={"csrf": csrf})
        else:
            answer = await client.get(address)
        assert answer.status_code == 400, (address, answer.status_code)


@pytest.mark.parametrize("text", [r'"\ud800"', r'"a\u0000"', r'"\0"', r'"\udc00 Mo-Fr"'])
async def test_escapes_in_rules_written_as_yaml_or_json_are_mistakes(running: Running, text: str) -> None:
    await running.add_user("eva", Role.ADMIN)
    async with running.client() as client:
        assert (await log_in(client, "eva")).status_code == 303
        csrf = csrf_of(await client.get("/console/account"))
        columns = [*RULE, "active_hours", "description"]
        for column in columns:
            rule = {"name": '"r"', "pattern": "{}", "agent_name": '"a"', column: text}
            yaml = "rules:\n- " + "\n  ".join(f"{name}: {value}" for name, value in rule.items())
            answer = await client.post("/console/simulate", data={"csrf": csrf, "rules": yaml, "hours": "24"})
            assert answer.status_code in {200, 400, 422}, (column, answer.status_code)
            if column not in {"pattern", "metadata", "attributes"}:
                continue
            form = {**RULE, column: f'{{"x": {text}}}'}
            answer = await client.post("/console/rules/new", data={"csrf": csrf, **form})
            assert answer.status_code in {400, 422}, (column, answer.status_code)
