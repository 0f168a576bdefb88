"""Erases one person on request: from events, dispatches, promises and the audit log, in small steps.

Rows stay, so that counts and statistics stay true; what a person is known by and what was said of it goes. Rows of
others in the same rooms are freed of its names first: they are found through the person's own events.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, delete, select, update

from app.accounts.saved_views import delete_views_that_name
from app.accounts.signing_key import signing_key
from app.audit.people.person import Person, find_person
from app.audit.people.person_rows import PersonRows, read_by_id, rows_about
from app.clock import new_secret
from app.db.audit_log import AuditEntry, append
from app.db.tables import (
    caller_actions,
    dispatches,
    events,
    personal_reads,
    token_dispatches,
)
from app.errors import ConflictError
from app.flows.erase.rewrite import (
    ACTION_COLUMNS_KEPT,
    DISPATCH_COLUMNS_KEPT,
    EVENT_COLUMNS_KEPT,
    overwriting,
    rename_callers,
    scrub_attempts,
    scrub_audit,
    scrubbed,
    write_changed,
)
from app.flows.erase.scrub import Scrubber, skeleton
from app.livekit.participant.phone import number_in, written_forms
from app.webhook.name_digest import ERASED_PREFIX

T = TypeVar("T")

STEP: Final = 100
"""Rows of one transaction: few enough not to delay acknowledgements."""
PAUSE_S: Final = 0.05
"""Pause between two steps, so that a long history leaves the writer to other work."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased, or would be: numbers of rows."""

    events: int
    other_events: int
    dispatches: int
    other_dispatches: int
    token_dispatches: int
    audit_lines: int
    rules: tuple[str, ...]
    """Rules that name the person: they stay, since operators wrote them."""
    live_rooms: tuple[str, ...]
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {
            "events": self.events,
            "events_of_others": self.other_events,
            "dispatches": self.dispatches,
            "dispatches_of_others": self.other_dispatches,
            "token_dispatches": self.token_dispatches,
            "audit_lines": self.audit_lines,
            "rules_that_name_the_person": list(self.rules),
            "in_a_call_in": list(self.live_rooms),
            "dry_run": self.dry_run,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_json` made this of."""
        return cls(
            document["events"],
            document["events_of_others"],
            document["dispatches"],
            document["dispatches_of_others"],
            document["token_dispatches"],
            document["audit_lines"],
            tuple(document["rules_that_name_the_person"]),
            tuple(document["in_a_call_in"]),
            document["dry_run"],
        )


@dataclass(frozen=True, slots=True)
class Access:
    """How the flow reads and writes: on a reader connection, and in a transaction of the writer."""

    read: Callable[[Callable[[Connection], Any]], Awaitable[Any]]
    write: Callable[[Callable[[Connection], Any]], Awaitable[Any]]


async def erase_person(
    access: Access, reference: str, *, by: str, now: datetime, project: str | None = None, dry_run: bool = False
) -> Erasure:
    """Erase the person that `reference` means; a second time changes nothing.

    Raises ConflictError while the person is in a call: LiveKit is called by the true names, and what is reported of
    the call afterwards would be stored again.
    """
    person, rows, terms = await access.read(partial(_find, reference=reference, project=project, now=now))
    erasure = Erasure(
        len(rows.own_events),
        len(rows.other_events),
        len(rows.own_dispatches),
        len(rows.other_dispatches),
        len(rows.own_promises),
        len(rows.audit_lines),
        rows.rules,
        rows.live_rooms,
        dry_run,
    )
    if dry_run or rows.is_empty:
        return erasure
    if rows.live_rooms:
        where = ", ".join(rows.live_rooms)
        raise ConflictError(f"this person is in a call now (room {where}); erase it when the call has ended")
    pseudonym = f"{ERASED_PREFIX}{new_secret()[:12]}"
    step = _Step(person, rows, Scrubber(dict.fromkeys(terms, pseudonym)), pseudonym)
    for unit in step.units():
        await access.write(unit)
        await asyncio.sleep(PAUSE_S)
    await access.write(partial(_record, person=person, erasure=erasure, by=by, now=now))
    return erasure


def _find(
    connection: Connection, reference: str, project: str | None, now: datetime
) -> tuple[Person, PersonRows, set[str]]:
    person = find_person(connection, reference, project)
    rows = rows_about(connection, person, now)
    return person, rows, _terms(connection, person, rows)


def _terms(connection: Connection, person: Person, rows: PersonRows) -> set[str]:
    """Return the texts by which the person is known: identities, names, numbers."""
    terms = {*person.identities, *person.phone_numbers, *(written_forms(person.number) if person.number else ())}
    for row in read_by_id(connection, events, rows.own_events):
        terms |= {row["participant_identity"], row["phone_number"] or "", row["participant_name"] or ""}
        body = row["body"] or {}
        for message in (body, body.get("job")):
            participant = message.get("participant") if isinstance(message, dict) else None
            name = participant.get("name") if isinstance(participant, dict) else None
            terms.add(name if isinstance(name, str) else "")
    return {term for term in terms if not term.startswith(ERASED_PREFIX)} - {""}


@dataclass(frozen=True, slots=True)
class _Step:
    person: Person
    rows: PersonRows
    scrubber: Scrubber
    pseudonym: str

    def units(self) -> Iterator[Callable[[Connection], None]]:
        """Yield the transactions in their order: the person's own events, by which all else is found, come last."""
        rows = self.rows
        yield partial(overwriting, self.scrub_reads, None)
        yield partial(overwriting, self.delete_views, None)
        for name, ids in (
            ("delete_promises", rows.own_promises),
            ("scrub_promises", rows.other_promises),
            ("scrub_audit", rows.audit_lines),
            ("erase_actions", (*rows.own_actions, *rows.other_actions)),
            ("erase_dispatches", (*rows.own_dispatches, *rows.other_dispatches)),
            ("erase_events", (*rows.other_events, *rows.own_events)),
        ):
            for start in range(0, len(ids), STEP):
                yield partial(overwriting, getattr(self, name), ids[start : start + STEP])

    def scrub_reads(self, connection: Connection, _: None) -> None:
        subjects = connection.scalars(select(personal_reads.c.subject).distinct()).all()
        named = list(filter(self._is_named, subjects))
        for start in range(0, len(named), STEP):
            connection.execute(
                update(personal_reads)
                .where(personal_reads.c.subject.in_(named[start : start + STEP]))
                .values(subject=self.pseudonym)
            )

    def delete_views(self, connection: Connection, _: None) -> None:
        delete_views_that_name(connection, self._is_named)

    def _is_named(self, text: str) -> bool:
        is_number = bool(self.person.number) and number_in(text) == self.person.number
        return is_number or self.scrubber.text(text) != text

    def delete_promises(self, connection: Connection, ids: Sequence[str]) -> None:
        connection.execute(delete(token_dispatches).where(token_dispatches.c.id.in_(ids)))

    def scrub_promises(self, connection: Connection, ids: Sequence[str]) -> None:
        for row in read_by_id(connection, token_dispatches, ids):
            changed = {
                "room_name": self.scrubber.text(row["room_name"]),
                "metadata": self.scrubber.text(row["metadata"]),
                "attributes": self.scrubber.json(row["attributes"]),
            }
            write_changed(connection, token_dispatches, row, changed)

    def scrub_audit(self, connection: Connection, ids: Sequence[int]) -> None:
        scrub_audit(connection, self.scrubber, ids)

    def erase_actions(self, connection: Connection, ids: Sequence[str]) -> None:
        own = set(self.rows.own_actions)
        for row in read_by_id(connection, caller_actions, ids):
            changed = scrubbed(self.scrubber, caller_actions, ACTION_COLUMNS_KEPT, row)
            if row["id"] in own:
                changed["participant_identity"] = self.pseudonym
            write_changed(connection, caller_actions, row, changed)

    def erase_dispatches(self, connection: Connection, ids: Sequence[str]) -> None:
        own = set(self.rows.own_dispatches)
        for row in read_by_id(connection, dispatches, ids):
            changed = scrubbed(self.scrubber, dispatches, DISPATCH_COLUMNS_KEPT, row)
            if row["id"] in own:
                changed |= {
                    "participant_identity": self.pseudonym,
                    "metadata": "",
                    "attributes": {},
                    "previous": None,
                    "intent_key": f"erased-{row['id']}",
                }
            write_changed(connection, dispatches, row, changed)
        scrub_attempts(connection, self.scrubber, ids)
        rename_callers(connection, ids, self._caller)

    def _caller(self, sid: str, identity: str) -> str:
        is_own = sid in self.person.participant_sids or identity in self.person.identities
        return self.pseudonym if is_own else identity

    def erase_events(self, connection: Connection, ids: Sequence[str]) -> None:
        own = set(self.rows.own_events)
        for row in read_by_id(connection, events, ids):
            is_own = row["id"] in own
            is_private = is_own or (row["project"], row["room_sid"]) not in self.rows.shared_rooms
            changed = scrubbed(self.scrubber, events, EVENT_COLUMNS_KEPT, row)
            changed |= {
                "body": self.scrubber.json(skeleton(row["body"]) if is_private and row["body"] else row["body"]),
                "decision": self.scrubber.decision(row["decision"]),
            }
            if is_private:
                changed["lookups"] = None
            if is_own:
                changed |= {"participant_identity": self.pseudonym, "participant_name": None, "phone_number": None}
            write_changed(connection, events, row, changed)


def _record(connection: Connection, person: Person, erasure: Erasure, by: str, now: datetime) -> None:
    key = signing_key(connection, now)
    digest = hmac.new(key.encode(), (person.number or person.reference).encode(), hashlib.sha256).hexdigest()[:32]
    reason = f"{erasure.events} events and {erasure.dispatches} dispatches erased on request"
    append(connection, [AuditEntry("person", digest, "stored", "erased", reason, now, by)])
