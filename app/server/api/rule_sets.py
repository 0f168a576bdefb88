"""API operations on all rules: apply a rules file, export one, go back to an earlier version."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from app.errors import InvalidInputError, Problem
from app.rules.editing import rule_set
from app.rules.editing.rule_set import RuleSetEdit
from app.rules.editing.rules_file import export_rules, read_rules_file
from app.rules.editing.stored_rules import read_rules
from app.server.api.framework.endpoint import ApiRequest, Model, Text, require_object

Version = Annotated[int, Field(ge=0, le=2**53)]
_OPTIONS = {"delete": bool, "dry_run": bool, "expected_version": int}


class RevertOrder(Model):
    to_version: Version = Field(description="of the rule book, as its history shows them")
    name: Text | None = Field(None, min_length=1, description="only this rule; null: the whole book")
    dry_run: bool = False


async def apply_rules_file(request: ApiRequest) -> dict[str, Any]:
    order = require_object(request.body)
    problems = [
        Problem(name, f"must be {'a whole number' if kind is int else 'true or false'}", order[name])
        for name, kind in _OPTIONS.items()
        if name in order and type(order[name]) is not kind
    ]
    problems += [Problem(name, "is not a known field") for name in order if name != "rules" and name not in _OPTIONS]
    if problems:
        raise InvalidInputError("body", problems)
    wanted = read_rules_file(json.dumps({"rules": order.get("rules")}), format_="json").rules
    options: dict[str, Any] = {
        "delete": order.get("delete", False),
        "dry_run": order.get("dry_run", False),
        "expected_version": order.get("expected_version"),
        "editor": request.user.name,
    }
    run = request.context.read if options["dry_run"] else request.context.write
    return await _answer(request, await run(lambda c: rule_set.apply_rules(c, wanted, **options)))


async def revert_rules(request: ApiRequest) -> dict[str, Any]:
    order: RevertOrder = request.body
    options: dict[str, Any] = {"name": order.name, "editor": request.user.name, "dry_run": order.dry_run}
    run = request.context.read if order.dry_run else request.context.write
    return await _answer(request, await run(lambda c: rule_set.revert_rules(c, order.to_version, **options)))


async def export_rules_file(request: ApiRequest) -> dict[str, Any]:
    rows = await request.context.read(read_rules)
    document: dict[str, Any] = json.loads(export_rules(rows, "json"))
    return document


async def _answer(request: ApiRequest, edit: RuleSetEdit) -> dict[str, Any]:
    context = request.context
    found = await context.read(lambda c: edit.warnings(context.book(c), context.traffic.read(c)))
    warnings = [{"rule": one.rule_name, **one.to_json()} for one in found]
    return {**edit.to_json(), "written": edit.written, "warnings": warnings}
