"""Plans how to bring the rules, or one of them, back to an earlier version of the rule book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from app.errors import NotFoundError
from app.rules.editing.difference import RuleDifference, diff
from app.rules.editing.history import rules_at
from app.rules.editing.stored_rules import read_rules
from app.translation import translatable


def plan_revert(connection: Connection, to_version: int, name: str | None = None) -> list[RuleDifference]:
    """Return what it takes to bring the whole book, or the rule named `name`, back to how it was at `to_version`.

    A rule that did not exist then is deleted; one deleted since comes back under its old id, so that its rollout share
    stays the same. NotFoundError when there is no such version, or no rule of that name now or then.
    """
    then, now = rules_at(connection, to_version), read_rules(connection)
    if name is None:
        return diff(now, then, delete=True, by="id")
    present, past = _states_of(name, now, then)
    if present is None and past is None:
        raise NotFoundError(
            translatable(
                "no rule is named %(name)s, neither now nor at version %(to_version)s",
                name=repr(name),
                to_version=str(to_version),
            )
        )
    if present is not None and past is not None:
        past = {**past, "id": present["id"]}
    return diff([present] if present else [], [past] if past else [], delete=True, by="id")


_Row = dict[str, Any]


def _states_of(name: str, now: Sequence[_Row], then: Sequence[_Row]) -> tuple[_Row | None, _Row | None]:
    """Return a rule as it is and as it was; a rule that was renamed since is found by either name.

    The rule that has the name now comes first, then the one that had it; the other state is the one with the same id.
    """
    present = _find(now, "name", name)
    past = (present and _find(then, "id", present["id"])) or _find(then, "name", name)
    return present or (past and _find(now, "id", past["id"])), past


def _find(rows: Sequence[_Row], column: str, value: Any) -> _Row | None:
    return next((row for row in rows if row[column] == value), None)
