"""A whole rules file through a door: what it would change, and changing it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from app.errors import InvalidInputError, Problem
from app.rules.changes import apply, diff, read_rules, rules_version
from app.rules.difference import differences_to_json
from app.rules.file import export_rules, read_rules_file
from app.server.office import Office

_OPTIONS = {"delete": bool, "dry_run": bool, "expected_version": int}


async def apply_rules(office: Office, order: Mapping[str, Any], editor: str) -> dict[str, Any]:
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

    def unit(connection: Connection) -> dict[str, Any]:
        differences = diff(read_rules(connection), wanted, delete=delete)
        version = rules_version(connection)
        if not dry_run:
            version = apply(connection, differences, editor, order.get("expected_version", version))
        return {"version": version, "written": not dry_run, **differences_to_json(differences)}

    return await (office.read(unit) if dry_run else office.write(unit))


def export_document(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all rules as the document that `apply` takes."""
    document: dict[str, Any] = json.loads(export_rules(rows, "json"))
    return document
