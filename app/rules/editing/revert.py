"""Bringing the rules, or one of them, back to an earlier version of the rule book."""

from __future__ import annotations

from sqlalchemy import Connection, text

from app.errors import NotFoundError
from app.rules.editing.apply import apply
from app.rules.editing.difference import RuleDifference, diff
from app.rules.editing.history import rules_at
from app.rules.editing.stored_rules import read_rules, rules_version


def plan_revert(connection: Connection, to_version: int, name: str | None = None) -> list[RuleDifference]:
    """Return what it takes to bring the whole book, or the rule named `name`, back to how it was at `to_version`.

    A rule that did not exist then is deleted; one deleted since comes back under its old id, so that its rollout share
    stays the same. NotFoundError when there is no such version, or no rule of that name now or then.
    """
    then, now = rules_at(connection, to_version), read_rules(connection)
    if name is None:
        return diff(now, then, delete=True, by="id")
    current = next((row for row in now if row["name"] == name), None)
    past = next((row for row in then if current is not None and row["id"] == current["id"]), None)
    past = past or next((row for row in then if row["name"] == name), None)
    if current is None and past is not None:
        current = next((row for row in now if row["id"] == past["id"]), None)
    if current is None and past is None:
        raise NotFoundError(f"no rule is named {name!r}, neither now nor at version {to_version}")
    if current is not None and past is not None:
        past = {**past, "id": current["id"]}
    return diff([current] if current else [], [past] if past else [], delete=True, by="id")


def revert(connection: Connection, to_version: int, editor: str, name: str | None = None) -> list[RuleDifference]:
    """Bring the book, or one rule, back to `to_version`, as an edit by `editor`; return what was changed."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE routing_rules IN SHARE ROW EXCLUSIVE MODE"))
    differences = plan_revert(connection, to_version, name)
    apply(connection, differences, editor, rules_version(connection))
    return differences
