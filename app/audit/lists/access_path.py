"""Ways into a table by which a page is found, each in the order of an index.

A planner that thinks a value common walks the primary key backwards and filters, for it expects to meet the value
soon; where the value has not come up for long, that walk goes through the whole table. So a way does not say
`column = value`, from which it follows that rows in the order of the id will do, but asks for a range of (column, id)
in that order, which only the index of both can give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal, select, tuple_


@dataclass(frozen=True, slots=True)
class Span:
    """A range of ids, newest first: below `ceiling` (None: from the newest), not below `floor`."""

    ceiling: str | None = None
    floor: str | None = None

    def above(self, horizon: str) -> Span:
        """Return the part of the range that is not below `horizon`."""
        return Span(self.ceiling, max(filter(None, (self.floor, horizon)), default=None))


@dataclass(frozen=True, slots=True)
class ByKey:
    """Every row, by the primary key."""

    key: ColumnElement[str]

    def conditions(self, span: Span) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if span.ceiling is not None:
            conditions.append(self.key < span.ceiling)
        if span.floor is not None:
            conditions.append(self.key >= span.floor)
        return conditions

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.key.desc(),)


@dataclass(frozen=True, slots=True)
class ByValue:
    """The rows whose `column` has `value`, by the index (column, key); `besides` is what a partial index holds."""

    column: ColumnElement[str]
    value: str
    key: ColumnElement[str]
    besides: tuple[ColumnElement[bool], ...] = ()

    def conditions(self, span: Span) -> list[ColumnElement[bool]]:
        value = literal(self.value, self.column.type)
        both = tuple_(self.column, self.key)
        upper = self.column <= value
        if span.ceiling is not None:
            upper = both < tuple_(value, literal(span.ceiling, self.key.type))
        lower = self.column >= value
        if span.floor is not None:
            lower = both >= tuple_(value, literal(span.floor, self.key.type))
        return [lower, upper, *self.besides]

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.column.desc(), self.key.desc())

    def check(self) -> ColumnElement[bool]:
        """Return the way as a condition on a row at hand, which no planner takes for another way in."""
        return self.column.concat("") == self.value


@dataclass(frozen=True, slots=True)
class ByName:
    """The few rows for which `condition` holds, such as those that have an id: found by an index, then sorted."""

    condition: ColumnElement[bool]
    key: ColumnElement[str]

    def conditions(self, span: Span) -> list[ColumnElement[bool]]:
        return [self.condition, *ByKey(self.key).conditions(span)]

    def order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.key.desc(),)

    def check(self) -> ColumnElement[bool]:
        """Return the way as a condition on a row at hand."""
        return self.condition


@dataclass(frozen=True, slots=True)
class Through:
    """The rows whose `column` names one of the rows that `first` finds in another table.

    Those are made before the rows that name them, and so many of them are looked at, newest first, for one page. What
    was made much later than the row it names may be left out behind so many.
    """

    column: ColumnElement[str]
    first: ByValue | ByName

    def check(self) -> ColumnElement[bool]:
        """Return the way as a condition on a row at hand: one look-up, where EXISTS may be turned into a whole scan."""
        return select(self.first.check()).where(self.first.key == self.column).scalar_subquery()


Way = ByKey | ByValue | ByName | Through
