"""Who read which call or person: recorded where USHER_READS_RETENTION_DAYS asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from app.clock import new_id
from app.db.record_ids import instant_of_id
from app.db.tables import personal_reads
from app.errors import InvalidInputError, Problem
from app.json_shape import Instant, JsonShape
from app.strict_json import UNSTORABLE_MESSAGE, is_storable
from app.webhook.name_digest import digest_of_number, has_name_key, stored_forms

LONGEST_SUBJECT = 600
"""A longer reference is cut: no identity or id is longer."""
_SIDS = ("EV_", "PA_", "RM_")
"""What LiveKit's ids of events, participants and room sessions begin with."""


@dataclass(frozen=True, slots=True)
class PersonalRead(JsonShape):
    """One look at personal data by a user. `subject` is what was asked for; it is empty for a whole list."""

    id: str
    read_at: Instant
    user_name: str
    channel: str
    operation: str
    subject: str


@dataclass(frozen=True, slots=True)
class ReadPage(JsonShape):
    """Reads, newest first; `next_cursor` is None on the last page."""

    items: list[PersonalRead]
    next_cursor: str | None


def record_read(
    connection: Connection, now: datetime, *, user: str, channel: str, operation: str, subject: str
) -> None:
    """Write down that a user read personal data."""
    row = {
        "id": new_id(),
        "read_at": now,
        "user_name": user,
        "channel": channel,
        "operation": operation,
        "subject": _stored(subject[:LONGEST_SUBJECT]),
    }
    connection.execute(insert(personal_reads).values(row))


def _stored(subject: str) -> str:
    """Return a subject as it is kept: of a name the digest, if names are hashed; ids say nothing of a person."""
    is_id = instant_of_id(subject) is not None or subject.startswith(_SIDS)
    return subject if is_id or not has_name_key() else digest_of_number(subject)


def list_reads(
    connection: Connection,
    *,
    user: str | None = None,
    subject: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> ReadPage:
    """Return one page, of a user, of a subject; `cursor` is the `next_cursor` of the page before."""
    column = personal_reads.c
    for name, value in (("user", user), ("subject", subject), ("cursor", cursor)):
        if value is not None and not is_storable(value):
            raise InvalidInputError("reads", [Problem(name, UNSTORABLE_MESSAGE)])
    query = select(personal_reads).order_by(column.id.desc()).limit(limit + 1)
    if user is not None:
        query = query.where(column.user_name == user)
    if subject is not None:
        query = query.where(column.subject.in_(stored_forms(subject)))
    if cursor is not None:
        query = query.where(column.id < cursor)
    found = [PersonalRead(**row) for row in connection.execute(query).mappings()]
    items = found[:limit]
    return ReadPage(items, items[-1].id if len(found) > limit else None)
