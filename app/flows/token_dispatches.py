"""Dispatches promised to a token server, redeemed when the participant joins.

LiveKit uses a token's dispatch only when that join creates the room. The promised dispatch has its id from the
beginning: when the participant joins, Usher checks whether LiveKit has a dispatch with that id, adopts it if so, and
sends it if not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from app.clock import new_id
from app.db.any_of import any_of
from app.db.columns.action_types import RuleAction
from app.db.tables import token_dispatches
from app.db.types import Cause, Scope, replaces_agents
from app.flows.context import Context
from app.livekit.vocabulary import RestartPolicy
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE
from app.outbox.queue_store import read_limits, read_places
from app.plan.build import Intent
from app.plan.expected import Expected, expect, expected_join
from app.rules.book.rule_book import RuleBook
from app.translation import recorded
from app.webhook.event import Event

VALID_FOR = timedelta(days=7)
"""How long a promise is kept, used or not: access tokens live for hours, few for more than some days."""

TAKEN_FOR = timedelta(minutes=2)
"""For so long an unused promise counts against the limits of its agent and its rule, for further promises."""
# Run at every join, so built once: building takes SQLAlchemy longer than running takes the database.
_ARE_VALID = (
    any_of(token_dispatches.c.room_name, "room_names"),
    token_dispatches.c.created_at >= bindparam("promised_since"),
)
VALID_PROMISES = select(token_dispatches.c.id).where(*_ARE_VALID)
_VALID = select(token_dispatches).where(*_ARE_VALID).order_by(token_dispatches.c.id)


@dataclass(frozen=True, slots=True)
class Promise:
    """One dispatch for `RoomConfiguration.agents` of an access token."""

    id: str
    rule: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str | None
    restart_policy: RestartPolicy
    failure: str | None


@dataclass(frozen=True, slots=True)
class OtherAction:
    """What a rule will do with a participant other than dispatching an agent."""

    rule: str
    action: RuleAction
    transfer_to: str | None


@dataclass(frozen=True, slots=True)
class TokenDecision:
    """What the rules want for a participant when it joins."""

    promises: Sequence[Promise]
    others: Sequence[OtherAction]


async def decide(
    context: Context,
    book: RuleBook,
    expected: Expected,
    ask_lookups: Callable[[Event, RuleBook], Awaitable[Event]],
) -> TokenDecision:
    """Return what `expected` will get, and store the dispatches among it until the participant joins.

    Waits for the lookups that match, no longer than their time: the token server has to wait for the decision.
    """
    now = context.clock.now()
    redact = context.settings.redact_of(expected.project)
    event = await ask_lookups(expected_join(expected, now=now, event_id=new_id(), redact=redact), book)
    plan = expect(book, event, context.settings.metadata_max_bytes)
    allowed = await context.read(lambda connection: _with_place(connection, expected.project, plan.intents, now))
    promises = []
    rows = []
    for intent in allowed:
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
                RestartPolicy.of(is_replaced_by_us=replaces_agents(intent.rule.recover, intent.rule.min_stay_s)),
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
    acting = [one.rule for one in plan.actions] + ([plan.ignored_by] if plan.ignored_by is not None else [])
    return TokenDecision(promises, [OtherAction(one.name, one.action, one.transfer_to) for one in acting])


def _with_place(connection: Connection, project: str, intents: Sequence[Intent], now: datetime) -> list[Intent]:
    """Return the intents whose agent and rule have a free place: the others are asked for when the participant joins.

    What was promised a moment ago counts as taken, since its participant is about to join.
    """
    limits = read_limits(connection)
    limited = [one for one in intents if one.agent_name in limits.agents or one.rule.max_calls is not None]
    if not limited:
        return list(intents)
    places = read_places(connection, limits, {one.rule.id for one in limited}, now)
    query = select(token_dispatches.c.agent_name, token_dispatches.c.rule_id).where(
        token_dispatches.c.created_at >= now - TAKEN_FOR,
        token_dispatches.c.used_at.is_(None),
        token_dispatches.c.project == project,
    )
    for agent_name, rule_id in connection.execute(query):
        places.count(project, agent_name, rule_id)
    queued = {(lane.project, lane.agent_name) for lane in limits.lanes}
    full = [
        one
        for one in limited
        if (project, one.agent_name) in queued
        or places.shortage_of_agent(project, one.agent_name) is not None
        or places.is_rule_full(one.rule.id, one.rule.max_calls)
    ]
    return [one for one in intents if one not in full]


Key = tuple[str, str, str, str]
"""Project, room name, identity and agent of a promise."""


@dataclass(frozen=True, slots=True)
class Promises:
    """What was promised for some rooms. `unused`: by key, the latest promise that has not become a dispatch."""

    unused: Mapping[Key, Mapping[str, Any]]
    keys: Collection[Key]
    rooms: Collection[tuple[str, str, str]]
    """Project, room name and agent of all promises."""

    def unused_of(self, event: Event, agent_name: str) -> Mapping[str, Any] | None:
        """Return the promise of this agent to the participant of `event` that has not become a dispatch yet."""
        return self.unused.get((event.project, event.room_name, event.participant_identity, agent_name))

    def may_bring(self, event: Event, agent_name: str, scope: Scope) -> bool:
        """Return whether an access token may have brought this agent: a token can be used again and again.

        With scope `room` that of any participant, since it is not known whose join opened the room.
        """
        if scope is Scope.ROOM:
            return (event.project, event.room_name, agent_name) in self.rooms
        return (event.project, event.room_name, event.participant_identity, agent_name) in self.keys


NO_PROMISES = Promises({}, (), ())


def promised(connection: Connection, room_names: Collection[str], now: datetime) -> Promises:
    """Return the promises for these rooms."""
    rows = connection.execute(_VALID, {"room_names": room_names, "promised_since": now - VALID_FOR}).mappings().all()
    return Promises(
        unused={_key(row): dict(row) for row in rows if row["used_at"] is None},
        keys={_key(row) for row in rows},
        rooms={(row["project"], row["room_name"], row["agent_name"]) for row in rows},
    )


def _key(row: Mapping[Any, Any]) -> Key:
    return (row["project"], row["room_name"], row["participant_identity"], row["agent_name"])


def redeemed(promise: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the dispatch that a promise becomes: as in the token, and LiveKit is checked first."""
    return {
        "id": promise["id"],
        "metadata": promise["metadata"],
        "attributes": promise["attributes"],
        "must_look": True,
        "cause": Cause.PROMISED,
        "reason": recorded("promised to the token server"),
    }


def redeem(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Write that these promises have become dispatches."""
    if ids:
        connection.execute(update(token_dispatches).where(token_dispatches.c.id.in_(ids)).values(used_at=now))
