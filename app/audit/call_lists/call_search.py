"""Finds calls by whatever is known of them: the begin of a name, the end of a phone number, any id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

from sqlalchemy import Column, ColumnElement, Connection, select, text
from sqlalchemy.sql.functions import FunctionElement

from app.audit.call_lists.dialled_numbers import by_dialled_number
from app.audit.call_lists.phone_text import ends_of_numbers, whole_numbers
from app.audit.lists.access_path import (
    AccessPath,
    ByIndexedValue,
    ByPrefix,
    ByPrimaryKey,
    BySelectiveCondition,
    ThroughNewerRows,
)
from app.audit.lists.event_list import by_ignoring_rule, by_livekit_id, by_name, by_phone_number, forms_of_number
from app.audit.statistics.names import ignoring_rules, names
from app.db.tables import (
    HAS_NUMBER,
    IS_CALLER,
    MAX_SEARCHED,
    caller_actions,
    dispatch_attempts,
    dispatches,
    events,
    reversed_digits,
    searched_identity,
    searched_name,
    searched_room,
)
from app.webhook.name_digest import stored_forms

_ID: Final = ("id", "participant_sid", "room_sid")
# Texts: what SQLAlchemy makes of other conditions, the planners do not take for those of the indexes.
_CALLERS: Final = cast("ColumnElement[bool]", text(IS_CALLER))
_PHONE_CALLERS: Final = cast("ColumnElement[bool]", text(HAS_NUMBER))
_MAX_NAMES: Final = 10  # agents or rules that one text begins


def call_search(connection: Connection, wanted: str) -> tuple[AccessPath, ...]:
    """Return the access paths to the joins of callers that a text finds.

    It is the begin of an identity, of the caller's name or of a room, agent or rule, without case; a phone number in
    any spelling, or its last digits, of the caller or the one that was dialled; or a whole id of Usher or LiveKit.
    """
    column = events.c
    paths: list[AccessPath] = [BySelectiveCondition(column[name] == wanted, column.id) for name in _ID]
    paths.append(by_livekit_id(wanted))
    paths += _of_event(wanted)
    paths += [_of_dispatch(dispatches.c[name] == wanted) for name in ("id", "job_id", "agent_sid")]
    paths.append(_of_attempt(wanted))
    for form in _texts(wanted):
        paths += [_by_prefix(expression, form) for expression in _TEXTS]
    paths += [_by_prefix(reversed_digits(), digits[::-1]) for digits in ends_of_numbers(wanted)]
    whole = whole_numbers(wanted)
    paths += [_by_prefix(reversed_digits(), digits[::-1], is_whole=True) for digits in whole]
    paths += by_dialled_number(connection, wanted)
    # As they are stored: the indexes above have no digests.
    for form in stored_forms(wanted):
        paths += [by_name(name, form) for name in ("participant_identity", "room_name")]
    paths += [by_phone_number(form) for form in forms_of_number(wanted)]
    for name in ("agent_name", "asked_agent_name", "rule_name"):
        paths += [_by_name(name, value) for value in _begun_by(connection, dispatches.c[name], wanted)]
    paths += [by_action("rule_name", rule) for rule in _begun_by(connection, caller_actions.c.rule_name, wanted)]
    paths += [by_ignoring_rule(rule) for rule in _begun(ignoring_rules(connection), wanted)]
    return tuple(paths)


def by_action(column: str, value: str) -> ThroughNewerRows:
    """Return the access path to the joins of callers who have an action with this value in a column."""
    first = ByIndexedValue(caller_actions.c[column], value, caller_actions.c.id)
    return ThroughNewerRows(caller_actions.c.event_id, first, events.c.id)


_TEXTS: Final[tuple[FunctionElement[str], ...]] = (searched_identity(), searched_room(), searched_name())
_INDEXES: Final[dict[type[FunctionElement[str]], str]] = {
    searched_identity: "ix_events_searched_identity",
    searched_room: "ix_events_searched_room",
    searched_name: "ix_events_searched_name",
    reversed_digits: "ix_events_reversed_digits",
}


def _by_prefix(expression: FunctionElement[str], prefix: str, *, is_whole: bool = False) -> ByPrefix:
    column = events.c
    condition = _PHONE_CALLERS if isinstance(expression, reversed_digits) else _CALLERS
    index = _INDEXES[type(expression)]
    return ByPrefix(expression, prefix, column.id, (condition,), ByPrimaryKey(column.id), index, is_whole)


def _texts(wanted: str) -> list[str]:
    """Return the forms in which an index of texts may hold what begins with `wanted`.

    The index has ASCII in lower case; of other letters the usual cases are tried.
    """
    cases = [wanted] if wanted.isascii() else [wanted, wanted.lower(), wanted.upper(), wanted.title()]
    return list(dict.fromkeys(lower_ascii(one)[:MAX_SEARCHED] for one in cases))


def lower_ascii(name: str) -> str:
    """Return a text as both databases lower it: only the letters of ASCII."""
    return "".join(one.lower() if one.isascii() else one for one in name)


def _of_event(livekit_id: str) -> Iterator[BySelectiveCondition]:
    """Yield the access paths to the calls of the caller, the agent or the room of an event, which need be no join."""
    column = events.c
    found = by_livekit_id(livekit_id).condition
    sids = select(column.participant_sid).where(found, column.participant_sid != "").correlate(None)
    rooms = select(column.room_sid).where(found, column.participant_sid == "", column.room_sid != "").correlate(None)
    yield BySelectiveCondition(column.participant_sid.in_(sids), column.id)
    yield BySelectiveCondition(column.room_sid.in_(rooms), column.id)
    yield _of_dispatch(dispatches.c.agent_sid.in_(sids))


def _of_dispatch(condition: ColumnElement[bool]) -> BySelectiveCondition:
    caused = select(dispatches.c.event_id).where(condition)
    return BySelectiveCondition(events.c.id.in_(caused), events.c.id)


def _of_attempt(livekit_dispatch_id: str) -> BySelectiveCondition:
    attempt = dispatch_attempts.c
    of = select(attempt.dispatch_id).where(attempt.livekit_dispatch_id == livekit_dispatch_id)
    return _of_dispatch(dispatches.c.id.in_(of))


def _by_name(column: str, value: str) -> ThroughNewerRows:
    asked = dispatches.c.asked_agent_name
    where = (asked.is_not(None),) if column == "asked_agent_name" else ()
    first = ByIndexedValue(dispatches.c[column], value, dispatches.c.id, where)
    return ThroughNewerRows(dispatches.c.event_id, first, events.c.id)


def _begun_by(connection: Connection, column: Column[str], wanted: str) -> Iterator[str]:
    yield from _begun(names(connection, column), wanted)


def _begun(known: Sequence[str], wanted: str) -> list[str]:
    prefix = wanted.casefold()
    return [name for name in known if name.casefold().startswith(prefix)][:_MAX_NAMES]
