"""Rows of `dispatches`, their callers and their attempts; every function works in the caller's open transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, update

from app.db.bulk_insert import insert_new, insert_new_later, insert_unseen, update_many
from app.db.tables import NOT_ENDED, dispatch_attempts, dispatch_callers, dispatches
from app.db.types import AttemptOutcome
from app.outbox import statements
from app.outbox.dispatch import Dispatch, Session
from app.outbox.move import Move
from app.outbox.states import WAITING, require_transition


def insert_unseen_dispatches(connection: Connection, new: Sequence[Dispatch]) -> None:
    """Insert dispatches whose intents this transaction found not to be live.

    If another replica has inserted one of them since, the transaction runs again and finds it.
    """
    insert_unseen(connection, dispatches, _new_rows(new))


def _new_rows(new: Sequence[Dispatch]) -> list[dict[str, Any]]:
    # In the order of their keys, so that two replicas with the same ones cannot wait for each other.
    return [dispatch.new_row() for dispatch in sorted(new, key=lambda one: one.intent_key)]


def insert_dispatches(connection: Connection, new: Sequence[Dispatch]) -> set[str]:
    """Insert dispatches that have not been called for; return the ids of those whose intent is not live already."""
    if not new:
        return set()
    ids = {dispatch.id for dispatch in new}
    if insert_new(connection, dispatches, _new_rows(new)) == len(new):
        return ids
    return {identity for (identity,) in statements.PRESENT.rows(connection, {"ids": ids})}


def inherit_callers(connection: Connection, successors: Mapping[str, str]) -> None:
    """Copy the callers that have not left from one dispatch to another: `successors`: the new id by the old."""
    if not successors:
        return
    query = select(dispatch_callers).where(
        dispatch_callers.c.dispatch_id.in_(successors), dispatch_callers.c.left_at.is_(None)
    )
    rows = [{**row, "dispatch_id": successors[row["dispatch_id"]]} for row in connection.execute(query).mappings()]
    insert_callers(connection, rows)


def insert_callers(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the callers that dispatches serve."""
    insert_new_later(connection, dispatch_callers, rows)


def live_by_intent(connection: Connection, keys: Collection[str]) -> dict[str, Dispatch]:
    """Return the live dispatches with these intent keys, locked: a caller must not be added to one that is ending."""
    if not keys:
        return {}
    found = statements.LIVE_BY_INTENT.rows(connection, {"keys": keys})
    return {one.intent_key: one for one in map(Dispatch.from_values, found)}


def read_locked(connection: Connection, ids: Collection[str]) -> dict[str, Dispatch]:
    """Return these dispatches as they are now, locked until the transaction ends."""
    if not ids:
        return {}
    found = statements.LOCKED.rows(connection, {"ids": ids})
    return {one.id: one for one in map(Dispatch.from_values, found)}


def live_in_rooms(connection: Connection, sessions: Collection[Session]) -> list[Dispatch]:
    """Return the live dispatches of these room sessions, locked until the transaction ends, oldest first."""
    if not sessions:
        return []
    rows = statements.LIVE_IN_ROOMS.rows(connection, {"room_sids": {sid for _, sid in sessions}})
    found = (Dispatch.from_values(row) for row in rows)
    return [one for one in found if (one.project, one.room_sid) in sessions]


def first_in_room(connection: Connection, session: Session, limit: int) -> list[Dispatch]:
    """Return some live dispatches of a room session, locked: those that wait for their agent first, then the oldest."""
    asked = {"project": session[0], "room_sid": session[1], "first": limit}
    return [Dispatch.from_values(row) for row in statements.FIRST_IN_ROOM.rows(connection, asked)]


def waiting_callers(connection: Connection, ids: Collection[str]) -> dict[str, set[str]]:
    """Return, by dispatch, the SIDs of the callers that have not left; dispatches without callers have no entry."""
    if not ids:
        return {}
    callers: dict[str, set[str]] = {}
    for dispatch_id, sid, left_at in statements.CALLERS.rows(connection, {"ids": ids}):
        present = callers.setdefault(dispatch_id, set())
        if left_at is None:
            present.add(sid)
    return callers


def last_left(connection: Connection, ids: Collection[str]) -> dict[str, datetime]:
    """Return, by dispatch, when its last caller left, of those whose callers have all left."""
    if not ids:
        return {}
    rows = statements.CALLERS_LEFT.rows(connection, {"ids": ids})
    return {dispatch_id: last for dispatch_id, present, last in rows if not present}


def present_callers(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """Return, by dispatch, how many callers have not left; dispatches without callers have no entry."""
    if not ids:
        return {}
    return {dispatch_id: present for dispatch_id, present, _ in statements.CALLERS_LEFT.rows(connection, {"ids": ids})}


def live_of_participants(connection: Connection, participant_sids: Collection[str]) -> list[Dispatch]:
    """Return the live dispatches that serve these participants, or whose agents they are, locked, oldest first."""
    if not participant_sids:
        return []
    found: dict[str, Dispatch] = {}
    for statement in (statements.LIVE_OF_CALLERS, statements.LIVE_OF_AGENTS):
        for row in statement.rows(connection, {"sids": participant_sids}):
            dispatch = Dispatch.from_values(row)
            found[dispatch.id] = dispatch
    return [found[key] for key in sorted(found)]


def mark_left(connection: Connection, project: str, participant_sids: Collection[str], at: datetime) -> None:
    """Write when these participants of a project left, for every dispatch that serves them."""
    if participant_sids:
        asked = {"project": project, "participant_sids": participant_sids, "at": at}
        statements.MARK_LEFT.run_later(connection, asked)


def write_moves(connection: Connection, moves: Sequence[Move]) -> None:
    """Write the state and the changed columns of each move; refuses transitions that the table does not allow."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    touched: set[str] = set()
    for move in moves:
        if move.status is not move.dispatch.status:
            require_transition(move.dispatch.status, move.status)
        if move.dispatch.id in touched:  # a second step of the same dispatch must be written after the first
            _update(connection, groups)
            groups, touched = {}, set()
        touched.add(move.dispatch.id)
        values = move.columns
        groups.setdefault(tuple(sorted(values)), []).append({"id": move.dispatch.id, **values})
    _update(connection, groups)


def _update(connection: Connection, groups: Mapping[tuple[str, ...], list[dict[str, Any]]]) -> None:
    for rows in groups.values():
        update_many(connection, dispatches, rows)


def record_attempts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add one row per call to LiveKit."""
    insert_new_later(connection, dispatch_attempts, rows)


def record_adoption(connection: Connection, row: Mapping[str, Any]) -> None:
    """Note that LiveKit has what an attempt without a clear answer asked for, or what an access token carried.

    The latter is attempt 0, since no call was made. What the attempt's own answer was stays in its error columns.
    """
    found = connection.execute(
        update(dispatch_attempts)
        .where(dispatch_attempts.c.dispatch_id == row["dispatch_id"], dispatch_attempts.c.number == row["number"])
        .values(outcome=row["outcome"], livekit_dispatch_id=row["livekit_dispatch_id"])
    )
    if not found.rowcount:
        record_attempts(connection, [row])


NO_LATE_AGENT = "nobody_comes"
"""Error code of an attempt by which no agent can come any more, not even late."""


def mark_no_show(
    connection: Connection, dispatch_id: str, number: int, *, job_id: str | None, detail: str, is_over: bool
) -> None:
    """Write that the agent of an accepted attempt never came, what LiveKit showed of it, and its job there."""
    connection.execute(
        update(dispatch_attempts)
        .where(dispatch_attempts.c.dispatch_id == dispatch_id, dispatch_attempts.c.number == number)
        .values(
            outcome=AttemptOutcome.NO_SHOW,
            job_id=job_id,
            error_code=NO_LATE_AGENT if is_over else None,
            error_text=detail[:2000],
        )
    )


def mark_left_early(connection: Connection, dispatch: Dispatch, *, left_at: datetime, detail: str) -> None:
    """Write that the agent of the current attempt of `dispatch` joined and left too soon."""
    connection.execute(
        update(dispatch_attempts)
        .where(dispatch_attempts.c.dispatch_id == dispatch.id, dispatch_attempts.c.number == dispatch.attempts)
        .values(
            outcome=AttemptOutcome.LEFT_EARLY,
            job_id=dispatch.job_id,
            joined_at=dispatch.joined_at,
            left_at=left_at,
            error_text=detail[:2000],
        )
    )


def find_due(
    connection: Connection, now: datetime, limit: int, *, project: str, in_hand: Collection[str]
) -> list[Dispatch]:
    """Return the dispatches of a project that are due for a call and not leased, oldest first.

    Among them are those whose sender's lease ran out: it died, and whether LiveKit got the call is unknown. On
    PostgreSQL rows that another replica has locked are skipped. `in_hand`: ids under way in this process, whatever
    their lease says.
    """
    asked = {"now": now, "first": limit, "project": project, "in_hand": in_hand}
    return [Dispatch.from_values(row) for row in statements.DUE.rows(connection, asked)]


def hasten_retries(connection: Connection, now: datetime, project: str, limit: int) -> int:
    """Make dispatches due as of their joins that a project's LiveKit has not been reached for; return how many.

    At most `limit`; called until it returns less, it leaves none that another replica has not locked. Those with an
    unknown outcome, or whose process has died, only once they are due: until then their call may take effect.
    """
    found = statements.KEPT_BACK.rows(connection, {"now": now, "project": project, "first": limit})
    return statements.HASTEN.run(connection, {"ids": [identity for (identity,) in found]}) if found else 0


def find_overdue(connection: Connection, now: datetime, limit: int, projects: Collection[str]) -> list[Dispatch]:
    """Return the dispatches past their answer deadline that no replica has leased, oldest first."""
    asked = {"now": now, "first": limit, "projects": projects}
    return [Dispatch.from_values(row) for row in statements.UNANSWERED.rows(connection, asked)]


def rooms_past_doubt(connection: Connection, now: datetime, projects: Collection[str]) -> list[tuple[str, str]]:
    """Return project and name of the rooms of dispatches whose doubt is over, those that have waited longest first."""
    found = statements.PAST_DOUBT.rows(connection, {"now": now, "projects": projects})
    return list(dict.fromkeys((project, room_name) for project, room_name in found))


def release(connection: Connection, owner: str, now: datetime) -> int:
    """End the leases of what `owner` has not sent; return how many there were."""
    result = connection.execute(
        update(dispatches)
        .where(text(NOT_ENDED), dispatches.c.lease_owner == owner, dispatches.c.status.in_(WAITING))
        .values(lease_owner=None, lease_until=now)
    )
    return result.rowcount
