"""Reads the recorded edits of the rules from `rule_changes`, which the database's triggers write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Connection, RowMapping, and_, func, or_, select

from app.db.tables import audit_log, routing_rules, rule_changes
from app.errors import NotFoundError, names_meant
from app.json_shape import Instant, JsonShape
from app.rules.columns import WRITABLE, matching_order, with_instants
from app.rules.editing.difference import ValueChange, compare_values
from app.rules.editing.stored_rules import rules_version
from app.translation import translatable


@dataclass(frozen=True, slots=True)
class RuleChange(JsonShape):
    """One recorded edit of one rule; `before` and `after` are rows as they were, null where there was none."""

    id: Annotated[int, Field(description="the version of the rule book that the change led to")]
    rule_id: int
    rule: Annotated[str, Field(description="its name after the edit, or before it for a removal")]
    change: Literal["insert", "update", "delete"]
    values: Annotated[tuple[ValueChange, ...], Field(description="what an update changed")]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed_at: Instant
    changed_by: str
    change_set: Annotated[str | None, Field(description="the same for all changes that were made together")]
    why: Annotated[str | None, Field(description="the reason that the editor gave")]


def history(
    connection: Connection,
    name: str | None = None,
    *,
    limit: int = 100,
    before_version: int | None = None,
    after_version: int | None = None,
) -> list[RuleChange]:
    """Return the recorded edits, newest first; with `name`, of the rules that have or had it.

    Page on with `before_version`, the id of the last change seen.
    """
    change = rule_changes.c
    statement = select(rule_changes).order_by(change.id.desc()).limit(limit)
    if before_version is not None:
        statement = statement.where(change.id < before_version)
    if after_version is not None:
        statement = statement.where(change.id > after_version)
    if name is not None:
        lives = _lives_of(connection, name)
        if not lives:
            hint = names_meant(name, connection.scalars(select(routing_rules.c.name)))
            text = translatable("no rule is or was named %(name)s%(hint)s", name=repr(name), hint=hint)
            raise NotFoundError(text, listed_by="" if hint else "usher rules list")
        statement = statement.where(
            or_(*(and_(change.rule_id == rule_id, change.id.between(first, last)) for rule_id, first, last in lives))
        )
    return [_change_of(row) for row in connection.execute(statement).mappings()]


def deletion_since(connection: Connection, rule_id: int, version: int) -> RuleChange | None:
    """Return the deletion of the rule that had this id at `version`; None if it is there still."""
    change = rule_changes.c
    query = select(rule_changes).where(change.rule_id == rule_id, change.change == "delete", change.id > version)
    row = connection.execute(query.order_by(change.id).limit(1)).mappings().one_or_none()
    return None if row is None else _change_of(row)


def reasons_of(connection: Connection, changes: Iterable[RuleChange]) -> dict[int, str]:
    """Return the reasons that editors gave, by the id of the change, of the rules in `changes`.

    Those from before `rule_changes.why` are in the audit log.
    """
    given = list(changes)
    entities = {f"rule:{change.rule_id}" for change in given}
    query = select(audit_log.c.to_state, audit_log.c.reason).where(audit_log.c.entity_id.in_(entities))
    earlier = {
        int(row.to_state.removeprefix("version ")): row.reason
        for row in connection.execute(query)
        if row.to_state.startswith("version ")
    }
    return earlier | {change.id: change.why for change in given if change.why}


def _lives_of(connection: Connection, name: str) -> list[tuple[int, int, int]]:
    """Return (rule id, first change, last change) of each rule that was ever named so.

    A rule lives from its insert to its delete: until revision 0036, SQLite gave its id to another one then.
    """
    change = rule_changes.c
    named = select(change.rule_id).where(
        or_(change.after["name"].as_string() == name, change.before["name"].as_string() == name)
    )
    rows = connection.execute(
        select(change.id, change.rule_id, change.change, change.before["name"].as_string().label("was"),
               change.after["name"].as_string().label("became"))
        .where(change.rule_id.in_(named)).order_by(change.rule_id, change.id)
    ).all()  # fmt: skip
    lives: list[tuple[int, int, int]] = []
    first, had_name = 0, False
    for place, row in enumerate(rows):
        begins = place == 0 or row.change == "insert" or rows[place - 1].rule_id != row.rule_id
        if begins:
            first, had_name = row.id, False
        had_name = had_name or name in {row.was, row.became}
        following = rows[place + 1] if place + 1 < len(rows) else None
        ends = following is None or following.rule_id != row.rule_id or following.change == "insert"
        if ends and had_name:
            lives.append((row.rule_id, first, row.id))
    return lives


def _change_of(row: RowMapping) -> RuleChange:
    before, after = (None if side is None else with_instants(side) for side in (row["before"], row["after"]))
    return RuleChange(
        id=row["id"],
        rule_id=row["rule_id"],
        rule=str((after or before or {}).get("name", "")),
        change=row["change"],
        values=() if before is None or after is None else tuple(_changed_values(before, after)),
        before=before,
        after=after,
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
        change_set=row["change_set"],
        why=row["why"],
    )


def _changed_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ValueChange]:
    for column in WRITABLE:
        yield from compare_values(column, before.get(column), after.get(column))


def rules_at(connection: Connection, version: int) -> list[dict[str, Any]]:
    """Return all rules as they were at `version`, in matching order; NotFoundError for a version not yet reached."""
    latest = rules_version(connection)
    if not 0 <= version <= latest:
        raise NotFoundError(
            translatable(
                "there is no version %(version)s of the rules; versions are 0 to %(latest)s",
                version=str(version),
                latest=str(latest),
            )
        )
    change = rule_changes.c
    last = select(func.max(change.id)).where(change.id <= version).group_by(change.rule_id)
    rows = connection.scalars(select(change.after).where(change.id.in_(last), change.change != "delete"))
    return sorted((with_instants(row) for row in rows), key=matching_order)
