"""Replaces identities, room names and phone numbers of calls that are over by keyed digests.

While a call lives LiveKit is called by its true names. Two cursors walk over the events, in the order of their ids: one
over `room_finished`, and one, a day later, over all, for rooms whose end was not reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from app.audit.people.person import SIP_PREFIX
from app.audit.people.person_rows import read_by_id, select_rows
from app.db.tables import audit_log, caller_actions, dispatches, events
from app.db.types import LIVE
from app.flows.context import Context
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
from app.flows.erase.scrub import Scrubber
from app.flows.turns import HASHER, beat, keep_turn, last_detail, take_turn
from app.livekit.participant.phone import number_in, written_forms
from app.livekit.participant.role import PROGRAMS
from app.livekit.vocabulary import EventType
from app.webhook.name_digest import digest_of, digest_of_number, is_digest

RUN_EVERY_S: Final = 30.0
SETTLED_AFTER: Final = timedelta(minutes=10)
"""After the end of a room: callers and agents may meet again in a new one for a minute, and webhooks may be late."""
OLD_AFTER: Final = timedelta(hours=24)
"""A room without a live dispatch counts as over after this, though its end was not reported."""
_PAUSE_S: Final = 0.02
_SESSIONS: Final = 20
_EVENTS_OF_A_SESSION: Final = 6  # about
_ROWS: Final = 100
_CURSORS: Final = "hashed"

_FINISHED = (
    select(events.c.id, events.c.project, events.c.room_sid, events.c.received_at, events.c.type)
    .where(events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(_SESSIONS * _EVENTS_OF_A_SESSION)
)
_OLD = (
    select(events.c.id, events.c.project, events.c.room_sid, events.c.received_at, events.c.room_name)
    .where(events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(_ROWS)
)

_NAMES: Final = ("id", "project", "room_name", "participant_identity")
_EVENT_COLUMNS: Final = tuple(events.c[name] for name in (*_NAMES, "participant_role", "phone_number"))
_ACTION_COLUMNS: Final = tuple(caller_actions.c[name] for name in ("id", "project", "status"))
_DISPATCH_COLUMNS: Final = tuple(dispatches.c[name] for name in (*_NAMES, "status"))


@dataclass(frozen=True, slots=True)
class _Session:
    """The rows of one room session, or one event without a room, and what replaces the names in them."""

    event_ids: Sequence[str]
    dispatch_ids: Sequence[str]
    action_ids: Sequence[str]
    audit_ids: Sequence[int]
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Found:
    sessions: Sequence[_Session]
    last: str | None
    """The id up to which all is done after these; None when there is no more."""


class NameHasher:
    """Replaces the names of calls that are over; one replica at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run_once(self) -> dict[str, int]:
        """Go on from where the cursors are until nothing is settled enough; return how many sessions were replaced."""
        run, now, owner = self._context.writer.run, self._context.clock.now, self._context.owner
        if not await run(lambda connection: take_turn(connection, owner, now(), RUN_EVERY_S, HASHER)):
            return {}
        total = 0
        for cursor, search in (("finished", self._finished), ("old", self._old)):
            while True:
                found = await self._context.read(partial(self._search, cursor=cursor, search=search))
                for unit in _units(found.sessions):
                    await run(unit)
                    await asyncio.sleep(_PAUSE_S)
                total += len(found.sessions)
                if found.last is None:
                    break
                await run(partial(self._advance, cursor=cursor, last=found.last))
        await run(self._finish)
        return {"hashed": total}

    def _search(self, connection: Connection, cursor: str, search: Callable[[Connection, str], _Found]) -> _Found:
        return search(connection, str(last_detail(connection, _CURSORS, "").get(cursor, "")))

    def _advance(self, connection: Connection, cursor: str, last: str) -> None:
        now, detail = self._context.clock.now(), {**last_detail(connection, _CURSORS, ""), cursor: last}
        beat(connection, _CURSORS, "", now, detail)
        keep_turn(connection, self._context.owner, now, busy=True, component=HASHER)

    def _finish(self, connection: Connection) -> None:
        now = self._context.clock.now()
        keep_turn(connection, self._context.owner, now, busy=False, component=HASHER)
        # Renewed even when nothing was due: heartbeats that are a day old are deleted, and the walk would begin anew.
        beat(connection, _CURSORS, "", now, last_detail(connection, _CURSORS, ""))

    def _finished(self, connection: Connection, after: str) -> _Found:
        before = self._context.clock.now() - SETTLED_AFTER
        rows = _until(connection.execute(_FINISHED, {"after": after}).mappings(), before)
        finished = [row for row in rows if row["type"] == EventType.ROOM_FINISHED and row["room_sid"]]
        rooms = dict.fromkeys((row["project"], row["room_sid"]) for row in finished)
        return _Found(list(_sessions(connection, rooms)), rows[-1]["id"] if rows else None)

    def _old(self, connection: Connection, after: str) -> _Found:
        before = self._context.clock.now() - OLD_AFTER
        rows = _until(connection.execute(_OLD, {"after": after}).mappings(), before)
        named = [row for row in rows if not is_digest(row["room_name"])]
        rooms = dict.fromkeys((row["project"], row["room_sid"]) for row in named if row["room_sid"])
        alone = [row["id"] for row in named if not row["room_sid"]]
        sessions = [*_sessions(connection, rooms), *_without_room(connection, alone)]
        return _Found(sessions, rows[-1]["id"] if rows else None)


def _until(rows: Iterable[Any], before: Any) -> list[Any]:
    found = []
    for row in rows:
        if row["received_at"] >= before:
            break
        found.append(row)
    return found


def _sessions(connection: Connection, rooms: Iterable[tuple[str, str]]) -> Iterator[_Session]:
    for project, room_sid in rooms:
        of_room, made, acted = (
            [one for one in select_rows(connection, columns, table.c.room_sid, [room_sid]) if one["project"] == project]
            for table, columns in (
                (events, _EVENT_COLUMNS),
                (dispatches, _DISPATCH_COLUMNS),
                (caller_actions, _ACTION_COLUMNS),
            )
        )
        if any(row["status"] in LIVE for row in (*made, *acted)):
            continue
        event_ids, dispatch_ids = sorted(row["id"] for row in of_room), sorted(row["id"] for row in made)
        action_ids = sorted(row["id"] for row in acted)
        concerned = [*event_ids, *dispatch_ids, *action_ids]
        lines = select_rows(connection, (audit_log.c.id,), audit_log.c.entity_id, concerned)
        terms = _terms([*of_room, *made])
        if terms:
            yield _Session(event_ids, dispatch_ids, action_ids, sorted(line["id"] for line in lines), terms)


def _without_room(connection: Connection, ids: Sequence[str]) -> Iterator[_Session]:
    for row in read_by_id(connection, events, ids):
        ingress = (row["body"] or {}).get("ingressInfo")
        named = ingress if isinstance(ingress, dict) else {}
        terms = _terms([row])
        for name in ("participantIdentity", "roomName"):
            if isinstance(named.get(name), str):
                terms[named[name]] = digest_of(named[name])
        if terms:
            yield _Session([row["id"]], [], [], [], terms)


def _terms(rows: Sequence[Any]) -> dict[str, str]:
    """Return the digests of the names in these rows; agents and other programs keep theirs."""
    programs = {row["participant_identity"] for row in rows if row.get("participant_role") in PROGRAMS}
    terms: dict[str, str] = {}
    for row in rows:
        identity, number = row["participant_identity"], row.get("phone_number") or ""
        for name in (row["room_name"], "" if identity in programs else identity):
            if name and not is_digest(name):
                terms[name] = digest_of(name)
        for spelling in (number, identity.removeprefix(SIP_PREFIX)):
            if spelling and not is_digest(spelling) and (e164 := number_in(spelling)):
                terms |= dict.fromkeys(written_forms(e164) - terms.keys(), digest_of_number(e164))
        if number and not is_digest(number):
            terms.setdefault(number, digest_of_number(number))
    return terms


def _units(sessions: Sequence[_Session]) -> Iterator[Callable[[Connection], None]]:
    """Yield transactions of about a hundred rows; the events of a session, which have its names, come last."""
    due: list[tuple[Callable[[Connection, Scrubber, Sequence[Any]], None], Scrubber, Sequence[Any]]] = []
    size = 0
    for session in sessions:
        scrubber = Scrubber(session.terms)
        steps: tuple[tuple[Any, Sequence[Any]], ...] = (
            (scrub_audit, session.audit_ids),
            (_hash_dispatches, session.dispatch_ids),
            (_hash_actions, session.action_ids),
            (_hash_events, session.event_ids),
        )
        for step, ids in steps:
            for start in range(0, len(ids), _ROWS):
                part = ids[start : start + _ROWS]
                due.append((step, scrubber, part))
                size += len(part)
                if size >= _ROWS:
                    yield partial(overwriting, _run, due)
                    due, size = [], 0
    if due:
        yield partial(overwriting, _run, due)


def _run(connection: Connection, due: Sequence[tuple[Any, Scrubber, Sequence[Any]]]) -> None:
    for step, scrubber, ids in due:
        step(connection, scrubber, ids)


def _hash_dispatches(connection: Connection, scrubber: Scrubber, ids: Sequence[str]) -> None:
    for row in read_by_id(connection, dispatches, ids):
        changed = scrubbed(scrubber, dispatches, DISPATCH_COLUMNS_KEPT, row)
        write_changed(connection, dispatches, row, {**changed, "intent_key": digest_of(row["intent_key"])})
    scrub_attempts(connection, scrubber, ids)
    rename_callers(connection, ids, lambda _sid, identity: scrubber.text(identity))


def _hash_actions(connection: Connection, scrubber: Scrubber, ids: Sequence[str]) -> None:
    for row in read_by_id(connection, caller_actions, ids):
        changed = scrubbed(scrubber, caller_actions, ACTION_COLUMNS_KEPT, row)
        write_changed(connection, caller_actions, row, changed)


def _hash_events(connection: Connection, scrubber: Scrubber, ids: Sequence[str]) -> None:
    for row in read_by_id(connection, events, ids):
        changed = scrubbed(scrubber, events, EVENT_COLUMNS_KEPT, row)
        write_changed(connection, events, row, {**changed, "decision": scrubber.decision(row["decision"])})
