"""Follows rules through their recorded changes: a rule that was deleted and put back is the same one.

Its id alone does not say so. Until revision 0036, SQLite gave the id of a deleted rule to the next one, and plain SQL
may do so on any database. An undo then puts the deleted rule back under another id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from app.db.tables import rule_changes
from app.rules.columns import complete
from app.rules.editing.difference import changed_columns

Document = Mapping[str, Any]
"""A rule as it was recorded, complete with the defaults of columns that it was recorded without."""

_COLUMN: Final = rule_changes.c


@dataclass(frozen=True, slots=True)
class RuleInSet:
    """What a change set made of one rule, from before all its changes to after them, and where the rule is now."""

    before: Document | None
    """None: the set created it."""
    after: Document | None
    """None: the set deleted it."""
    last_id: int
    """The id that it has, or had until it was deleted."""
    is_present: bool


def rules_in_set(connection: Connection, change_set: str) -> list[RuleInSet]:
    """Return the rules that a set changed, in the order of ids; not those that were the same before and after it."""
    in_set = _COLUMN.change_set == change_set
    of_set = select(_COLUMN.rule_id).where(in_set)
    states = {
        row.id: row for row in connection.execute(select(_COLUMN.id, _COLUMN.before, _COLUMN.after).where(in_set))
    }
    found = []
    for lives in _lives(connection, of_set):
        for life in lives:
            changes = [row for row in life.changes if row.change_set == change_set]
            if not changes:
                continue
            first, last = states[changes[0].id], states[changes[-1].id]
            before = _document(first.before) or _replaced(connection, life, changes[0])
            after = _document(last.after)
            if before is None or after is None:
                is_changed = before is not after
            else:
                is_changed = bool(changed_columns(before, after))
            if is_changed:
                now = _follow(connection, life, [one for one in lives if one is not life])
                found.append(RuleInSet(before, after, now.rule_id, now.is_alive))
    return found


@dataclass(slots=True)
class _Life:
    """The changes of one rule under one id, with its names in place of all that was recorded."""

    rule_id: int
    changes: list[Any] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def is_alive(self) -> bool:
        return bool(self.changes[-1].change != "delete")

    def add(self, row: Any) -> None:
        self.changes.append(row)
        self.names |= {row.was, row.became} - {None}


def _lives(
    connection: Connection, ids: Select[tuple[int]], *, since: int = 0, names: Collection[str] = ()
) -> list[list[_Life]]:
    """Return the rules that have had each of the ids, in the order of their last changes; the first had `names`."""
    was, became = (side["name"].as_string() for side in (_COLUMN.before, _COLUMN.after))
    recorded = (_COLUMN.id, _COLUMN.rule_id, _COLUMN.change, _COLUMN.change_set)
    query = select(*recorded, was.label("was"), became.label("became"))
    query = query.where(_COLUMN.rule_id.in_(ids), _COLUMN.id >= since).order_by(_COLUMN.rule_id, _COLUMN.id)
    rows = connection.execute(query).all()
    return [_split(connection, own, names) for _, own in groupby(rows, key=lambda row: row.rule_id)]


def _split(connection: Connection, rows: Iterable[Any], names: Collection[str]) -> list[_Life]:
    lives: list[_Life] = []
    for row in rows:
        # SQLite records a REPLACE under the same id as an insert alone.
        if not lives:
            lives.append(_Life(row.rule_id, names=set(names)))
        elif row.change == "insert" and not lives[-1].is_alive:
            life = _put_back(connection, lives, row)
            if life is not None:
                lives.remove(life)
            lives.append(life or _Life(row.rule_id))
        lives[-1].add(row)
    return lives


def _put_back(connection: Connection, lives: Sequence[_Life], row: Any) -> _Life | None:
    """Return the deleted rule that an insert has put back under its id; None: it is another rule."""
    named = [life for life in reversed(lives) if row.became in life.names]
    if len(named) < 2:
        return named[0] if named else None
    state = complete(connection.execute(select(_COLUMN.after).where(_COLUMN.id == row.id)).scalar_one())
    return next((life for life in named if _was_ever(connection, life, state)), named[0])


def _follow(connection: Connection, life: _Life, others: Sequence[_Life]) -> _Life:
    """Return the changes of a rule under its last id; `others` are the other rules that have had its id.

    A rule is put back under another id only while its own is taken.
    """
    if life.is_alive:
        return life
    taken = [(one.changes[0].id, None if one.is_alive else one.changes[-1].id) for one in others]
    query = select(_COLUMN.id, _COLUMN.rule_id, _COLUMN.after).where(
        _COLUMN.change == "insert",
        _COLUMN.id > life.changes[-1].id,
        _COLUMN.rule_id != life.rule_id,
        _COLUMN.after["name"].as_string().in_(life.names),
    )
    for row in connection.execute(query.order_by(_COLUMN.id)).all() if taken else ():
        is_taken = any(begin < row.id and (end is None or row.id < end) for begin, end in taken)
        if is_taken and _was_ever(connection, life, complete(row.after)):
            own_id = select(_COLUMN.rule_id).where(_COLUMN.id == row.id)
            [later] = _lives(connection, own_id, since=row.id, names=life.names)
            [moved] = [one for one in later if one.changes[0].id == row.id]
            return _follow(connection, moved, [one for one in later if one is not moved])
    return life


def _was_ever(connection: Connection, life: _Life, state: Document) -> bool:
    """Return whether a rule was ever exactly so."""
    own = {row.id for row in life.changes}
    query = select(_COLUMN.id, _COLUMN.before, _COLUMN.after).where(_COLUMN.rule_id == life.rule_id)
    sides = (side for number, *both in connection.execute(query) if number in own for side in both if side is not None)
    return any(not changed_columns(complete(side), state) for side in sides)


def _replaced(connection: Connection, life: _Life, first: Any) -> Document | None:
    """Return the rule that REPLACE took away for one with the same id, which is recorded as an insert alone."""
    place = life.changes.index(first)
    if not place:
        return None
    return _document(connection.scalar(select(_COLUMN.after).where(_COLUMN.id == life.changes[place - 1].id)))


def _document(recorded: Mapping[str, Any] | None) -> Document | None:
    return None if recorded is None else {"id": recorded.get("id"), **complete(recorded)}
