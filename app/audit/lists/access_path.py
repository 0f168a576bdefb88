"""Access paths: the conditions and the order by which a page of a list is found in an index.

A planner that thinks a value common walks the primary key backwards and filters, since it expects to meet the value
soon; where the value has not occurred for long, that walk reads the whole table. So an access path does not say
`column = value`, which would allow that plan, but asks for a range of (column, id) in that order, which only the index
of both can give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, literal, or_, select, tuple_

from app.db.tables import MINUTE_LENGTH


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids less than `before` (None: up to the newest) and at least `least` (None: down to the oldest)."""

    before: str | None = None
    least: str | None = None

    def at_least(self, least: str) -> IdRange:
        """Return the part of the range whose ids are at least `least`."""
        return IdRange(self.before, max(filter(None, (self.least, least)), default=None))


@dataclass(frozen=True, slots=True)
class ByPrimaryKey:
    """Every row, by the primary key."""

    key: ColumnElement[str]

    def conditions(self, ids: IdRange) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if ids.before is not None:
            conditions.append(self.key < ids.before)
        if ids.least is not None:
            conditions.append(self.key >= ids.least)
        return conditions

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.key.desc(),)


@dataclass(frozen=True, slots=True)
class ByIndexedValue:
    """The rows whose `column` has `value`, by the index (column, key); `where` is that of a partial index."""

    column: ColumnElement[str]
    value: str
    key: ColumnElement[str]
    where: tuple[ColumnElement[bool], ...] = ()

    def conditions(self, ids: IdRange) -> list[ColumnElement[bool]]:
        value = literal(self.value, self.column.type)
        pair = tuple_(self.column, self.key)
        upper = self.column <= value
        if ids.before is not None:
            upper = pair < tuple_(value, literal(ids.before, self.key.type))
        lower = self.column >= value
        if ids.least is not None:
            lower = pair >= tuple_(value, literal(ids.least, self.key.type))
        return [lower, upper, *self.where]

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return tuple(each.desc() for each in self.sorted_by)

    @property
    def sorted_by(self) -> tuple[ColumnElement[Any], ...]:
        return (self.column, self.key)

    def as_filter(self) -> ColumnElement[bool]:
        """Return the condition on a row that another path finds; no planner takes it for an access path."""
        return self.column.concat("") == self.value


@dataclass(frozen=True, slots=True)
class ByValueAndMinute:
    """The rows whose `column` has `value`, by the index (column, `minute` of the key), which is shorter.

    The rows of one minute are sorted by the key as they are read. In the order by the minute no planner sees that of
    the primary key, and `key` is compared in a form of which none makes a range of it.
    """

    column: ColumnElement[str]
    value: str
    key: ColumnElement[str]
    minute: ColumnElement[str]
    where: tuple[ColumnElement[bool], ...] = ()

    def conditions(self, ids: IdRange) -> list[ColumnElement[bool]]:
        conditions = [self.column == self.value]
        key = self.key.concat("")
        if ids.before is not None:
            conditions += [self.minute <= ids.before[:MINUTE_LENGTH], key < ids.before]
        if ids.least is not None:
            conditions += [self.minute >= ids.least[:MINUTE_LENGTH], key >= ids.least]
        return [*conditions, *self.where]

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return tuple(each.desc() for each in self.sorted_by)

    @property
    def sorted_by(self) -> tuple[ColumnElement[Any], ...]:
        return (self.minute, self.key)

    def as_filter(self) -> ColumnElement[bool]:
        """Return the condition on a row that another path finds; no planner takes it for an access path."""
        return self.column.concat("") == self.value


@dataclass(frozen=True, slots=True)
class BySelectiveCondition:
    """The few rows for which `condition` holds, such as those with a certain id: found by an index, then sorted."""

    condition: ColumnElement[bool]
    key: ColumnElement[str]

    def conditions(self, ids: IdRange) -> list[ColumnElement[bool]]:
        return [self.condition, *ByPrimaryKey(self.key).conditions(ids)]

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.key.desc(),)

    def as_filter(self) -> ColumnElement[bool]:
        """Return the condition on a row that another path finds."""
        return self.condition


HIGHEST: Final = "\U0010ffff"
"""Sorts after every other character."""


@dataclass(frozen=True, slots=True)
class ByPrefix:
    """The rows whose `text` begins with `prefix`, by an index of (text, key); `where` is that of a partial index.

    The index has them in the order of the text. So all of them are read and sorted by the key if they are few
    (`path_rows.MAX_PREFIXED`); if they are many, the rows that `newest` finds are filtered instead.
    """

    text: ColumnElement[str]
    prefix: str
    key: ColumnElement[str]
    where: tuple[ColumnElement[bool], ...]
    newest: ByPrimaryKey
    index: str
    """Its name: without statistics, SQLite prefers the index of any column that is compared for equality."""
    is_whole: bool = False
    """Whether the text is the prefix and nothing more."""

    def keys(self) -> Select[str]:
        """Return the keys of all rows, in the order of the index: a planner must not choose another index."""
        found = select(self.key.label("id")).where(self.as_filter(), *self.where)
        return found.order_by(self.text, self.key).with_hint(self.key.table, f"INDEXED BY {self.index}", "sqlite")

    def as_filter(self) -> ColumnElement[bool]:
        """Return the condition on a row that another path finds."""
        return and_(self.text >= self.prefix, self.text <= self.prefix + ("" if self.is_whole else HIGHEST))


@dataclass(frozen=True, slots=True)
class ThroughNewerRows:
    """The rows whose `key` is the `column` of a row that `first` finds in another table, where it is newer.

    A bounded number is read, newest first, for one page. On the pages after the first, a row is left out to which only
    rows refer that are newer by more than `delay`.
    """

    column: ColumnElement[str]
    first: ByIndexedValue
    key: ColumnElement[str]
    delay: timedelta = timedelta(minutes=1)

    def as_filter(self) -> ColumnElement[bool]:
        """Return the condition on a row that another path finds."""
        found = select(self.first.key).where(self.column == self.key, self.first.as_filter()).limit(1)
        return found.scalar_subquery().is_not(None)


@dataclass(frozen=True, slots=True)
class ThroughOtherTable:
    """The rows whose `column` refers to a row that `first` finds in another table.

    The rows of the other table are older than those that refer to them; a bounded number is read, newest first, for one
    page. A row that was made much later than the row it refers to may therefore be left out.
    """

    column: ColumnElement[str]
    first: ByIndexedValue | BySelectiveCondition | ByPrefix


IndexPath = ByPrimaryKey | ByIndexedValue | ByValueAndMinute | BySelectiveCondition
"""An access path within one table."""
ValuePath = ByIndexedValue | ByValueAndMinute | BySelectiveCondition | ByPrefix | ThroughNewerRows | ThroughOtherTable
"""An access path that can also serve as a filter of rows which another one finds."""
AccessPath = IndexPath | ByPrefix | ThroughNewerRows | ThroughOtherTable


def as_filter(paths: Iterable[ValuePath]) -> ColumnElement[bool]:
    """Return the condition that at least one of the paths finds a row."""
    conditions: list[ColumnElement[bool]] = []
    of_others: dict[tuple[ColumnElement[str], ColumnElement[str]], list[ColumnElement[bool]]] = {}
    for path in paths:
        if isinstance(path, ThroughOtherTable):
            of_others.setdefault((path.column, path.first.key), []).append(path.first.as_filter())
        else:
            conditions.append(path.as_filter())
    # One look-up for all conditions on the other row; EXISTS may become a full scan.
    conditions += [
        select(or_(*each)).where(key == column).scalar_subquery() for (column, key), each in of_others.items()
    ]
    return or_(*conditions)
