"""A person as the database knows it: identities, spellings of the phone number, and stays in rooms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, select, text

from app.db.tables import HAS_IDENTITY, dispatches, events, token_dispatches
from app.errors import InvalidInputError, Problem
from app.livekit.participant.phone import number_in, written_forms
from app.strict_json import UNSTORABLE_MESSAGE, is_storable
from app.webhook.name_digest import digest_of, digest_of_number, has_name_key

SIP_PREFIX: Final = "sip_"
"""LiveKit's SIP service makes the identity of a caller of this and the number."""
IDS_AT_ONCE: Final = 100  # bound values of one statement, far below the limit of either database
_LONGEST: Final = 600


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `number` is in E.164, empty if `reference` is no phone number; `project` is None for all projects."""

    reference: str
    number: str
    project: str | None
    identities: frozenset[str]
    """Identities by which this person alone is known."""
    phone_numbers: frozenset[str]
    """The spellings of `number` that are stored."""
    event_ids: tuple[str, ...] = ()
    """Events of this person, oldest first."""
    participant_sids: frozenset[str] = frozenset()
    rooms: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """Project and SID of the room sessions in which it was."""


def find_person(connection: Connection, reference: str, project: str | None = None) -> Person:
    """Return the person that an identity or a phone number in any spelling means; InvalidInputError if it is neither.

    A number also means the callers whose identity LiveKit made of it, and an identity that LiveKit made of a number
    also means that number.
    """
    reference = reference.strip()
    if not reference or len(reference) > _LONGEST or not is_storable(reference):
        message = "must be an identity or a phone number"
        message = message if is_storable(reference) else UNSTORABLE_MESSAGE
        raise InvalidInputError("person", [Problem("person", message)])
    number = number_in(reference.removeprefix(SIP_PREFIX))
    identities = {reference}
    phone_numbers: set[str] = set()
    if number:
        spellings = select(events.c.phone_number).where(events.c.phone_number.is_not(None)).distinct()
        phone_numbers = {text for text in connection.scalars(spellings) if text and number_in(text) == number}
        identities |= _identities_of(connection, number)
        sip_identities = {f"{SIP_PREFIX}{text}" for text in (*written_forms(number), *phone_numbers)}
        if has_name_key():
            identities |= set(map(digest_of, sip_identities))
            phone_numbers.add(digest_of_number(number))
    identities |= {digest_of(identity) for identity in tuple(identities)}
    sids = _sids(connection, events.c.phone_number, phone_numbers, project)
    known: dict[str, Row[Any]] = {}
    has_identity = text(HAS_IDENTITY)  # of the index
    conditions = [and_(has_identity, events.c.participant_identity.in_(batch)) for batch in _batches(identities)]
    conditions += [events.c.participant_sid.in_(batch) for batch in _batches(sids)]
    for condition in conditions:
        known |= {row.id: row for row in connection.execute(_in_project(_EVENTS.where(condition), project))}
    return Person(
        reference,
        number,
        project,
        frozenset(identities),
        frozenset(phone_numbers),
        tuple(sorted(known)),
        frozenset(row.participant_sid for row in known.values() if row.participant_sid),
        frozenset((row.project, row.room_sid) for row in known.values() if row.room_sid),
    )


_EVENTS: Select[Any] = select(events.c.id, events.c.project, events.c.participant_sid, events.c.room_sid)


def _identities_of(connection: Connection, number: str) -> set[str]:
    found: set[str] = set()
    for column in (
        events.c.participant_identity,
        dispatches.c.participant_identity,
        token_dispatches.c.participant_identity,
    ):
        query = select(column).where(column.startswith(SIP_PREFIX, autoescape=True)).distinct()
        found.update(text for text in connection.scalars(query) if number_in(text.removeprefix(SIP_PREFIX)) == number)
    return found


def _sids(
    connection: Connection, column: ColumnElement[Any], values: Collection[str], project: str | None
) -> frozenset[str]:
    found: set[str] = set()
    for batch in _batches(values):
        query = select(events.c.participant_sid).where(column.in_(batch), events.c.participant_sid != "").distinct()
        found.update(connection.scalars(_in_project(query, project)))
    return frozenset(found)


def _in_project(query: Select[Any], project: str | None) -> Select[Any]:
    return query if project is None else query.where(events.c.project == project)


def _batches(values: Iterable[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), IDS_AT_ONCE):
        yield ordered[start : start + IDS_AT_ONCE]
