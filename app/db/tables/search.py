"""Indexes that find calls by the begin of a name or by the end of a phone number, and what they hold.

They hold joins of callers only, one entry per call, also of callers who were ignored.
They are of expressions, not of columns of their own: whatever rewrites an event (redaction, erasure, digests) also
changes what finds it, and rows of earlier releases are found.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Index, Text, func, literal_column, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.db.tables.calls import MINUTE_LENGTH, events

MAX_SEARCHED: Final = 100
"""Characters of a name that the index holds: an entry of an index of PostgreSQL has at most 2,700 bytes."""
MAX_RULE_NAME: Final = 500
"""The same of the name of a rule, with at most four bytes each."""
MAX_DIGITS: Final = 15
"""Digits of the longest phone number (E.164)."""

_OF_CALL: Final = "outcome IN ('planned', 'served', 'no_match')"
_OF_IGNORED_CALLER: Final = "outcome = 'ignored' AND participant_role IN ('callee', 'caller')"
"""Other joins that were ignored are those of programs."""
IS_CALL: Final = f"type = 'participant_joined' AND {_OF_CALL}"
IS_IGNORED_CALLER: Final = f"type = 'participant_joined' AND {_OF_IGNORED_CALLER}"
IS_CALLER: Final = f"type = 'participant_joined' AND ({_OF_CALL} OR ({_OF_IGNORED_CALLER}))"
"""Conditions of indexes, in the text that a statement needs to use them."""
HAS_NUMBER: Final = f"phone_number IS NOT NULL AND {IS_CALLER}"
HAS_TRUNK_NUMBER: Final = f"trunk_number IS NOT NULL AND {IS_CALLER}"


class searched_identity(FunctionElement[str]):  # noqa: N801 - reads as a SQL function
    """`events.participant_identity` as it is searched: in lower case, cut."""

    type = Text()
    inherit_cache = True


class searched_room(FunctionElement[str]):  # noqa: N801 - likewise
    """`events.room_name` as it is searched."""

    type = Text()
    inherit_cache = True


class searched_name(FunctionElement[str]):  # noqa: N801 - likewise
    """`events.participant_name`, or that in the body of a row of an earlier release, as it is searched."""

    type = Text()
    inherit_cache = True


class reversed_digits(FunctionElement[str]):  # noqa: N801 - likewise
    """The last digits of `events.phone_number`, the last one first."""

    type = Text()
    inherit_cache = True


class reversed_trunk_digits(FunctionElement[str]):  # noqa: N801 - likewise
    """The last digits of `events.trunk_number`, the last one first."""

    type = Text()
    inherit_cache = True


class ignoring_rule(FunctionElement[str]):  # noqa: N801 - likewise
    """The name of the rule that ignored a caller, cut: the only one that matched."""

    type = Text()
    inherit_cache = True


def _lower(text_: str) -> str:
    return f"lower(substr({text_}, 1, {MAX_SEARCHED}))"


def _lower_bytes(text_: str) -> str:
    # In the collation C, PostgreSQL compares bytes and lowers ASCII only, as SQLite does.
    return f'lower(substr({text_}, 1, {MAX_SEARCHED}) COLLATE "C")'


def _in_json(column: str, path: str) -> str:
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '{path}') END"


def _reversed_on_sqlite(column: str) -> str:
    digits = f"substr({column}, 1, instr({column} || '@', '@') - 1)"  # of an address such as +34…@trunk
    for separator in ("+", " ", "-", "(", ")", ".", "/"):
        digits = f"replace({digits}, '{separator}', '')"
    # There is no function that reverses a text.
    return "(" + " || ".join(f"substr({digits}, -{place}, 1)" for place in range(1, MAX_DIGITS + 1)) + ")"


def _reversed_on_postgresql(column: str) -> str:
    digits = f"regexp_replace(split_part({column}, '@', 1), '[^0-9]', '', 'g')"
    return f'(reverse(right({digits}, {MAX_DIGITS})) COLLATE "C")'


_SPELLED: Final[dict[type[FunctionElement[str]], tuple[str, str]]] = {
    searched_identity: (_lower("participant_identity"), _lower_bytes("participant_identity")),
    searched_room: (_lower("room_name"), _lower_bytes("room_name")),
    searched_name: (
        _lower(f"coalesce(participant_name, {_in_json('body', '$.participant.name')})"),
        _lower_bytes("coalesce(participant_name, body #>> '{participant,name}')"),
    ),
    reversed_digits: (_reversed_on_sqlite("phone_number"), _reversed_on_postgresql("phone_number")),
    reversed_trunk_digits: (_reversed_on_sqlite("trunk_number"), _reversed_on_postgresql("trunk_number")),
    ignoring_rule: (
        f"substr({_in_json('decision', '$.matched[0].rule')}, 1, {MAX_RULE_NAME})",
        f"substr(decision #>> '{{matched,0,rule}}', 1, {MAX_RULE_NAME})",
    ),
}


def _on_sqlite(element: FunctionElement[str], _compiler: SQLCompiler, **_: Any) -> str:
    return _SPELLED[type(element)][0]


def _on_postgresql(element: FunctionElement[str], _compiler: SQLCompiler, **_: Any) -> str:
    return _SPELLED[type(element)][1]


for _kind in _SPELLED:
    compiles(_kind, "sqlite")(_on_sqlite)
    compiles(_kind, "postgresql")(_on_postgresql)


for _name, _expression, _condition in (
    ("ix_events_searched_identity", searched_identity(), IS_CALLER),
    ("ix_events_searched_room", searched_room(), IS_CALLER),
    ("ix_events_searched_name", searched_name(), IS_CALLER),
    ("ix_events_reversed_digits", reversed_digits(), HAS_NUMBER),
    ("ix_events_ignoring_rule", ignoring_rule(), IS_IGNORED_CALLER),
):
    _where = text(_condition)
    Index(_name, _expression, events.c.id, sqlite_where=_where, postgresql_where=_where)

# Few numbers, of very many calls: with the minute in place of the id, PostgreSQL stores those of a minute once.
_where = text(HAS_TRUNK_NUMBER)
Index(
    "ix_events_reversed_trunk_digits",
    reversed_trunk_digits(),
    func.substr(events.c.id, literal_column("1"), literal_column(str(MINUTE_LENGTH))),
    sqlite_where=_where,
    postgresql_where=_where,
)

_ignored = text(IS_IGNORED_CALLER)
Index(
    "ix_events_ignored_callers",
    events.c.participant_role,
    events.c.id,
    sqlite_where=_ignored,
    postgresql_where=_ignored,
)
