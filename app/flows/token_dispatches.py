"""Dispatches promised to a token server, redeemed when the participant joins.

LiveKit uses a token's dispatch only when that join creates the room. The promised dispatch has its id from the
beginning: when the participant joins, Usher checks whether LiveKit has a dispatch with that id, adopts it if so, and
sends it if not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from app.clock import new_id
from app.db.any_of import any_of
from app.db.tables import token_dispatches
from app.db.types import Cause
from app.flows.context import Context
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE
from app.plan.expected import Expected, expect
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event

VALID_FOR = timedelta(hours=24)
"""How long a promise is kept for a participant that does not join."""

# Run at every join, so built once: building takes SQLAlchemy longer than running takes the database.
_ARE_OPEN = (
    any_of(token_dispatches.c.room_name, "room_names"),
    token_dispatches.c.used_at.is_(None),
    token_dispatches.c.created_at >= bindparam("promised_since"),
)
OPEN_PROMISES = select(token_dispatches.c.id).where(*_ARE_OPEN)
_OPEN = select(token_dispatches).where(*_ARE_OPEN).order_by(token_dispatches.c.id)


@dataclass(frozen=True, slots=True)
class Promise:
    """One dispatch for `RoomConfiguration.agents` of an access token."""

    id: str
    rule: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str | None
    failure: str | None


async def decide(context: Context, book: RuleBook, expected: Expected) -> list[Promise]:
    """Return the dispatches that `expected` will get, and store them until the participant joins."""
    now = context.clock.now()
    intents = expect(book, expected, now=now, event_id=new_id(), max_bytes=context.settings.metadata_max_bytes)
    promises = []
    rows = []
    for intent in intents:
        identity = new_id()
        marked = {**intent.attributes, DISPATCH_ID_ATTRIBUTE: identity}
        promises.append(
            Promise(
                identity,
                intent.rule.name,
                intent.agent_name,
                intent.metadata,
                marked,
                intent.rule.deployment,
                intent.failure,
            )
        )
        if intent.failure is None:
            rows.append(
                {
                    "id": identity,
                    "project": expected.project,
                    "room_name": expected.room_name,
                    "participant_identity": expected.identity,
                    "agent_name": intent.agent_name,
                    "rule_id": intent.rule.id,
                    "rules_version": book.version,
                    "metadata": intent.metadata,
                    "attributes": dict(intent.attributes),
                    "created_at": now,
                }
            )

    def write(connection: Connection) -> None:
        connection.execute(delete(token_dispatches).where(token_dispatches.c.created_at < now - VALID_FOR))
        if rows:
            connection.execute(insert(token_dispatches), rows)

    await context.writer.run(write)
    return promises


def promised(
    connection: Connection, room_names: Collection[str], now: datetime
) -> dict[tuple[str, str, str, str], Mapping[str, Any]]:
    """Return the open promises for these rooms, by project, room name, identity and agent; the latest of each."""
    open_promises = connection.execute(_OPEN, {"room_names": room_names, "promised_since": now - VALID_FOR})
    return {
        (row["project"], row["room_name"], row["participant_identity"], row["agent_name"]): dict(row)
        for row in open_promises.mappings()
    }


def promise_key(event: Event, agent_name: str) -> tuple[str, str, str, str]:
    """Return the key in `promised` of this agent for the participant of `event`."""
    return (event.project, event.room_name, event.participant_identity, agent_name)


def redeemed(promise: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the dispatch that a promise becomes: as in the token, and LiveKit is checked first."""
    return {
        "id": promise["id"],
        "metadata": promise["metadata"],
        "attributes": promise["attributes"],
        "must_look": True,
        "cause": Cause.PROMISED,
        "reason": "promised to the token server",
    }


def redeem(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Write that these promises have become dispatches."""
    if ids:
        connection.execute(update(token_dispatches).where(token_dispatches.c.id.in_(ids)).values(used_at=now))
