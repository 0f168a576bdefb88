"""Many rules at once through a door: what a file or a revert would change, changing it, and what to beware of then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from app.errors import InvalidInputError, Problem
from app.flows.rule_trial import DRAFT_ID
from app.rules.book.rule_book import Rule, RuleBook
from app.rules.editing.apply import apply
from app.rules.editing.difference import RuleDifference, diff, differences_to_json, is_effective
from app.rules.editing.rules_file import export_rules, read_rules_file
from app.rules.editing.stored_rules import read_rules, rules_version
from app.rules.warnings.rule_warnings import RuleWarning, rule_warnings
from app.server.problems import warning_json
from app.server.request_context import RequestContext

MOST_JUDGED: Final = 2_000
"""Rules, at 0.1 ms each; of more only those that change are judged."""
_OPTIONS = {"delete": bool, "dry_run": bool, "expected_version": int}


async def apply_rules(context: RequestContext, order: Mapping[str, Any], editor: str) -> dict[str, Any]:
    """Make the rules what `order` says; return the differences. InvalidInputError with every problem."""
    problems = [
        Problem(name, f"must be {'a whole number' if kind is int else 'true or false'}", order[name])
        for name, kind in _OPTIONS.items()
        if name in order and type(order[name]) is not kind
    ]
    problems += [Problem(name, "is not known here") for name in order if name != "rules" and name not in _OPTIONS]
    if problems:
        raise InvalidInputError("body", problems)
    wanted = read_rules_file(json.dumps({"rules": order.get("rules")}), format_="json").rules
    delete, dry_run = order.get("delete", False), order.get("dry_run", False)

    def unit(connection: Connection) -> tuple[int, list[RuleDifference]]:
        differences = diff(read_rules(connection), wanted, delete=delete)
        version = rules_version(connection)
        if not dry_run:
            version = apply(connection, differences, editor, order.get("expected_version", version))
        return version, differences

    version, differences = await (context.read(unit) if dry_run else context.write(unit))
    return await tell_changes(context, version, differences, written=not dry_run)


async def tell_changes(
    context: RequestContext, version: int, differences: Sequence[RuleDifference], *, written: bool
) -> dict[str, Any]:
    """Return what becomes, or would become, of the rules, with the warnings of those that stay as they will stand."""
    found = await context.read(lambda c: _warnings(context.book(c), differences, written=written))
    warnings = [{"rule": one.rule_name, **warning_json(one)} for one in found]
    return {"version": version, "written": written, **differences_to_json(differences), "warnings": warnings}


def _warnings(book: RuleBook, differences: Sequence[RuleDifference], *, written: bool) -> list[RuleWarning]:
    changed = [one for one in differences if is_effective(one)]
    if not written:
        rows = [
            {**one.after, "id": one.rule_id or DRAFT_ID + place}
            for place, one in enumerate(changed)
            if one.after is not None
        ]
        book = book.updated(rows, [one.rule_id for one in changed if one.after is None and one.rule_id], book.version)
    kept = [one.after["name"] for one in differences if one.after is not None]
    if len(kept) > MOST_JUDGED:
        kept = [one.after["name"] for one in changed if one.after is not None][:MOST_JUDGED]
    by_name = {line.name: line for line in book.lines()}
    rules = (by_name.get(name) for name in kept)
    return [warning for rule in rules if isinstance(rule, Rule) for warning in rule_warnings(book, rule)]


def export_document(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all rules as the document that `apply` takes."""
    document: dict[str, Any] = json.loads(export_rules(rows, "json"))
    return document
