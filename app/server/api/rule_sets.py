"""API operations on all rules: apply a rules file, export one, go back to an earlier version."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.rules.editing import rule_set
from app.rules.editing.difference import RuleDifference
from app.rules.editing.rule_set import RuleSetEdit
from app.rules.editing.undo.undo_set import UndoConflict, undo_set
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
    plan = await request.context.read(lambda c: rule_set.plan_rules(c, order.wanted, delete=order.delete))
    edit = await request.context.write(
        lambda connection: rule_set.apply_file(
            connection,
            order.wanted,
            delete=order.delete,
            editor=editor,
            expected=order.expected,
            why=request.query.why,
            plan=plan,
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


class UndoOrder(Model):
    change_set: Text = Field(min_length=1, max_length=100, description="of a change in the history")
    skip_changed: bool = Field(default=False, description="leave what was changed again since, and undo the rest")
    dry_run: bool = False


class RulesUndone(BaseModel):
    change_set: str
    version: int = Field(description="of the rule book now; with `dry_run` before")
    written: bool
    rules: list[RuleDifference]
    counts: dict[str, int]
    conflicts: list[UndoConflict] = Field(description="what was changed again since, and so is not undone")
    not_undone: dict[str, int] = Field(description="how many lookups and agents the set changed, which stay")


async def undo_a_change_set(request: ApiRequest) -> dict[str, Any]:
    order: UndoOrder = request.body
    unit = partial(
        undo_set,
        change_set=order.change_set,
        editor=request.user.name,
        skip_changed=order.skip_changed,
        dry_run=order.dry_run,
        why=request.query.why,
    )
    context = request.context
    return (await (context.read(unit) if order.dry_run else context.write(unit))).to_json()


async def export_rules_file(request: ApiRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(await request.context.read(lambda c: rule_set.read_tables(c).to_text("json")))
    return document


async def _answer(request: ApiRequest, edit: RuleSetEdit) -> dict[str, Any]:
    context = request.context
    return edit_answer(edit, await context.read(lambda c: edit.warnings(context.book(c), context.traffic.read(c))))
