"""Finds calls by the number that was dialled: few numbers, each of which very many calls may share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select, text
from sqlalchemy import Text as TextType

from app.audit.call_lists.phone_text import ends_of_numbers, whole_numbers
from app.audit.lists.access_path import HIGHEST, ByValueAndMinute
from app.db.tables import HAS_TRUNK_NUMBER, MINUTE_OF_ID, events, reversed_trunk_digits

MAX_NUMBERS: Final = 20
"""Dialled numbers that a text finds at most; each costs one look-up in the index."""
_MINUTE: Final = cast("ColumnElement[str]", literal_column(str(MINUTE_OF_ID), TextType))
_HAS_NUMBER: Final = cast("ColumnElement[bool]", text(HAS_TRUNK_NUMBER))
_INDEX: Final = "INDEXED BY ix_events_reversed_trunk_digits"


def by_dialled_number(connection: Connection, wanted: str) -> list[ByValueAndMinute]:
    """Return the access paths to the joins of callers who dialled the numbers that a text may mean."""
    found = {one[::-1] for one in whole_numbers(wanted)}
    for end in ends_of_numbers(wanted):
        found.update(_numbers(connection, end[::-1]))
    return [
        ByValueAndMinute(reversed_trunk_digits(), one, events.c.id, _MINUTE, (_HAS_NUMBER,)) for one in sorted(found)
    ]


def _numbers(connection: Connection, prefix: str) -> Iterator[str]:
    """Yield the reversed numbers that begin with `prefix`: a DISTINCT would read all their calls."""
    number = reversed_trunk_digits()
    last: str | None = None
    for _ in range(MAX_NUMBERS):
        following: Select[str] = select(number).select_from(events).where(number <= prefix + HIGHEST, _HAS_NUMBER)
        following = following.where(number >= prefix if last is None else number > last)
        last = connection.scalar(following.order_by(number).limit(1).with_hint(events, _INDEX, "sqlite"))
        if last is None:
            return
        yield last
