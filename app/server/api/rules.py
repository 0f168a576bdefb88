"""Rules over the API."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import Connection

from app.errors import NotFoundError
from app.rules.book.rule_book import RuleBook
from app.rules.columns import complete
from app.rules.editing.apply import MAX_WHY, lock_rules
from app.rules.editing.edit_rule import change_rule, create_rule, delete_rule
from app.rules.editing.history import RuleChange, history
from app.rules.editing.stored_rules import (
    StoredRule,
    list_stored_rules,
    read_stored_rule,
    rules_version,
)
from app.rules.rule_projects import may_match, require_only
from app.rules.warnings.rule_warnings import RuleWarning, rule_warnings, saved_rule_warnings
from app.rules.warnings.unseen import Traffic
from app.server.api.framework.endpoint import Answer, ApiRequest, Model, Text, require_object, required_version
from app.server.problems import problem_json
from app.server.workers.rule_jobs import check_draft, try_draft


class RulesQuery(Model):
    limit: int = Field(100, ge=1, le=200)
    cursor: str | None = Field(
        None, description="`next_cursor` of the previous page", pattern=r"^-?[0-9]{1,10}\.[0-9]{1,18}$"
    )
    name: Text | None = Field(None, description="only the rule of that name")


class ReasonQuery(Model):
    why: Text | None = Field(None, max_length=MAX_WHY, description="the reason, which the history shows")


class HistoryQuery(Model):
    limit: int = Field(50, ge=1, le=200)
    before_version: int | None = Field(None, ge=0, le=2**53, description="only changes before this version")


class RulesHistoryQuery(HistoryQuery):
    name: Text | None = Field(None, description="only changes of the rules that have or had this name")


async def list_rules(request: ApiRequest) -> dict[str, Any]:
    after = None
    if request.query.cursor is not None:
        priority, _, rule_id = request.query.cursor.partition(".")
        after = (max(-(2**31), min(int(priority), 2**31 - 1)), int(rule_id))
    limit: int = request.query.limit

    def load(connection: Connection) -> dict[str, Any]:
        found = list_stored_rules(connection, limit=limit + 1, after=after, name=request.query.name)
        shown, book, projects = found[:limit], request.context.book(connection), request.user.projects
        return {
            "items": [
                _shown(request, _rule_json(rule, book))
                for rule in shown
                if may_match(rule.row.get("pattern"), projects)
            ],
            "next_cursor": f"{shown[-1].row.get('priority')}.{shown[-1].id}" if len(found) > limit else None,
            "version": rules_version(connection),
        }

    return await request.context.read(load)


async def read_rule(request: ApiRequest) -> Answer:
    return await _answer(request, request.number("rule_id"))


async def create_a_rule(request: ApiRequest) -> Answer:
    draft = require_object(request.body)
    require_only(draft.get("pattern"), request.user.projects)
    why = request.query.why
    rule = await request.context.write(lambda connection: create_rule(connection, draft, request.user.name, why=why))
    answer = await _answer(request, rule.id)
    return Answer(answer.document, {**answer.headers, "Location": f"/api/v1/rules/{rule.id}"})


async def change_a_rule(request: ApiRequest) -> Answer:
    return await _change(request, whole=False)


async def replace_a_rule(request: ApiRequest) -> Answer:
    return await _change(request, whole=True)


async def delete_a_rule(request: ApiRequest) -> dict[str, Any]:
    expected = required_version(request, "rule")
    rule_id, editor = request.number("rule_id"), request.user.name

    def unit(connection: Connection) -> StoredRule:
        _require_own(connection, request, rule_id)
        return delete_rule(connection, rule_id, editor, expected, why=request.query.why)

    rule = await request.context.write(unit)
    return {**rule.to_json(), "problems": [], "warnings": []}


async def check_a_rule(request: ApiRequest) -> dict[str, Any]:
    return await request.context.workers.run(request.user.user_id, check_draft, request.body)


async def try_a_rule(request: ApiRequest) -> dict[str, Any]:
    return await request.context.workers.run(request.user.user_id, try_draft, request.body)


async def rules_history(request: ApiRequest) -> dict[str, Any]:
    limit = request.query.limit
    found = await request.context.read(
        lambda connection: history(
            connection, request.query.name, limit=limit + 1, before_version=request.query.before_version
        )
    )
    return _history(found, limit)


async def rule_history(request: ApiRequest) -> dict[str, Any]:
    limit = request.query.limit

    def load(connection: Connection) -> list[RuleChange]:
        name = str(read_stored_rule(connection, request.number("rule_id")).row.get("name"))
        return history(connection, name, limit=limit + 1, before_version=request.query.before_version)

    return _history(await request.context.read(load), limit)


async def _change(request: ApiRequest, *, whole: bool) -> Answer:
    expected, columns = required_version(request, "rule"), require_object(request.body)
    rule_id, editor = request.number("rule_id"), request.user.name
    if whole or "pattern" in columns:
        require_only(columns.get("pattern"), request.user.projects)
    if whole:
        columns = complete(columns) | {name: columns[name] for name in columns} if _has_needed(columns) else columns

    def unit(connection: Connection) -> StoredRule:
        _require_own(connection, request, rule_id)
        return change_rule(connection, rule_id, columns, editor, expected, whole=whole, why=request.query.why)

    rule = await request.context.write(unit)
    return await _answer(request, rule.id)


def _require_own(connection: Connection, request: ApiRequest, rule_id: int) -> None:
    """Lock the rules, and raise an error unless the rule is for the user's projects alone."""
    if request.user.projects is not None:
        lock_rules(connection)  # with If-Match: * no version would show an edit in between
        require_only(read_stored_rule(connection, rule_id).row.get("pattern"), request.user.projects)


def _has_needed(columns: dict[str, Any]) -> bool:
    return {"name", "pattern", "agent_name"} <= columns.keys()


async def _answer(request: ApiRequest, rule_id: int) -> Answer:
    def load(connection: Connection) -> Answer:
        rule = read_stored_rule(connection, rule_id)
        if not may_match(rule.row.get("pattern"), request.user.projects):
            raise NotFoundError(f"no rule has the id {rule_id}")
        book, traffic = request.context.book(connection), request.context.traffic.read(connection)
        return Answer(_shown(request, _rule_json(rule, book, traffic)), {"ETag": rule.etag})

    return await request.context.read(load)


def _shown(request: ApiRequest, rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule as the user may see it: warnings compare it with rules and calls of other projects."""
    return rule if request.user.projects is None else {**rule, "warnings": []}


def _rule_json(stored: StoredRule, book: RuleBook, traffic: Traffic | None = None) -> dict[str, Any]:
    """Return the rule as JSON; in lists without `traffic`, and so without the warnings that take long."""
    bad, rule = book.bad.get(stored.id), book.rule(stored.id)
    warnings: list[RuleWarning] = []
    if rule is not None:
        warnings = rule_warnings(book, rule) if traffic is None else saved_rule_warnings(book, rule, traffic)
    return {
        **stored.to_json(),
        "problems": [problem_json(problem) for problem in bad.problems] if bad else [],
        "warnings": [one.to_json() for one in warnings],
    }


def _history(found: list[RuleChange], limit: int) -> dict[str, Any]:
    shown = found[:limit]
    return {
        "items": [change.to_json() for change in shown],
        "next_before_version": shown[-1].id if len(found) > limit else None,
    }
