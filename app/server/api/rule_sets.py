"""API operations on all rules: apply a rules file, export one, go back to an earlier version."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from app.rules.editing import rule_set
from app.rules.editing.rule_set import RuleSetEdit
from app.server.api.framework.endpoint import ApiRequest, Model, Text
from app.server.workers.rule_jobs import edit_answer, read_rules_order, try_revert

Version = Annotated[int, Field(ge=0, le=2**53)]


class RevertOrder(Model):
    to_version: Version = Field(description="of the rule book, as its history shows them")
    name: Text | None = Field(None, min_length=1, description="only this rule; null: the whole book")
    dry_run: bool = False


async def apply_rules_file(request: ApiRequest) -> dict[str, Any]:
    editor = request.user.name
    order = await request.context.workers.run(request.user.user_id, read_rules_order, request.body, editor)
    if order.answer is not None:
        return order.answer
    edit = await request.context.write(
        lambda connection: rule_set.apply_file(
            connection,
            order.wanted,
            delete=order.delete,
            editor=editor,
            expected=order.expected,
            why=request.query.why,
        )
    )
    return await _answer(request, edit)


async def revert_rules(request: ApiRequest) -> dict[str, Any]:
    order: RevertOrder = request.body
    editor, version, name = request.user.name, order.to_version, order.name
    if order.dry_run:
        return await request.context.workers.run(request.user.user_id, try_revert, version, name, editor)
    edit = await request.context.write(
        lambda c: rule_set.revert_rules(c, version, name=name, editor=editor, why=request.query.why)
    )
    return await _answer(request, edit)


async def export_rules_file(request: ApiRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(await request.context.read(lambda c: rule_set.read_tables(c).to_text("json")))
    return document


async def _answer(request: ApiRequest, edit: RuleSetEdit) -> dict[str, Any]:
    context = request.context
    return edit_answer(edit, await context.read(lambda c: edit.warnings(context.book(c), context.traffic.read(c))))
