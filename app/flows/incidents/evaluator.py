"""Opens, counts and closes incidents, every few seconds, in one replica at a time."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from app.audit import Objective, sweep_heartbeats
from app.db.transaction import as_unavailable
from app.db.types import IncidentKind
from app.errors import UsherError
from app.flows.context import Context
from app.flows.incidents.replica_states import ReplicaState, own_state, served_projects, states_of_others
from app.flows.messages.message_recorder import MessageRecorder
from app.flows.replicas.serving import heartbeat_details
from app.flows.turns import INCIDENTS, keep_turn, take_turn
from app.incidents.changes import plan_changes
from app.incidents.conditions.agents_not_joining import Waiting, agents_not_joining
from app.incidents.conditions.callers_without_agents import callers_without_agents
from app.incidents.conditions.livekit_troubles import (
    livekit_troubles,
    removed_projects,
    silent_webhooks,
    waiting_by_project,
)
from app.incidents.conditions.queues_growing import QueueLength, growing_queues
from app.incidents.conditions.replica_troubles import clocks_off, paused_webhooks
from app.incidents.conditions.rule_troubles import bad_rows, broken_rules, burning_objectives
from app.incidents.facts.agent_attempts import read_attempts, read_waiting
from app.incidents.facts.bad_rows import read_bad_rows
from app.incidents.facts.lost_calls import read_lost_calls
from app.incidents.facts.queue_lengths import read_queues
from app.incidents.incident import Incident
from app.incidents.incident_store import Written, open_incidents, write_changes
from app.incidents.messages.subscription import paused_subscriptions
from app.incidents.sighting import Sighting
from app.logs import get_logger
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook

_log = get_logger(__name__)

EVALUATE_EVERY_S: Final = 5.0
_CHECK_ROOM: Final = "usher-incident-check"
"""A room that does not exist: asking for it shows whether LiveKit can be called again, where nothing is swept."""

Objectives = Callable[[], Awaitable[Sequence[Objective]]]
OfProjectT = TypeVar("OfProjectT", Waiting, QueueLength)
Find = Callable[[], Iterable[Sighting]]


class IncidentEvaluator:
    """Compares what is wrong with the incidents that are open; `recorder` stores messages about what changes."""

    def __init__(
        self,
        context: Context,
        book: Callable[[], RuleBook],
        recorder: MessageRecorder,
    ) -> None:
        self._context = context
        self._book = book
        self._recorder = recorder
        self._objectives: Objectives | None = None
        self._known_book = book()
        self._wanted: tuple[RuleBook, set[str]] | None = None

    def use_objectives(self, objectives: Objectives) -> None:
        """Take the counts of objectives from here: who shows them keeps them up to date."""
        self._objectives = objectives

    async def run_once(self) -> dict[str, int]:
        """Evaluate if it is this replica's turn; return how many incidents opened and closed."""
        if not self._context.writer.is_embedded and not await self._context.writer.run(self._take_turn):
            return {}
        try:
            return await self._evaluate()
        finally:
            if not self._context.writer.is_embedded:
                await self._context.writer.run(self._end_turn)

    def _take_turn(self, connection: Connection) -> bool:
        context = self._context
        return take_turn(connection, context.owner, context.clock.now(), EVALUATE_EVERY_S, INCIDENTS)

    def _end_turn(self, connection: Connection) -> None:
        keep_turn(connection, self._context.owner, self._context.clock.now(), busy=False, component=INCIDENTS)

    async def _evaluate(self) -> dict[str, int]:
        await self._check_livekit()
        objectives = None if self._objectives is None else await self._objectives()
        find = partial(self._find, objectives=objectives, own=own_state(self._context))
        known, sightings, unjudged, is_unnotified = await self._context.read(find)
        if not plan_changes(known, sightings, unjudged) and not is_unnotified:
            return {}
        write = partial(self._write, sightings=sightings, unjudged=unjudged)
        written = await self._context.writer.run(write, gives_way=True)
        for one in written.opened:
            _log.warning("an incident has opened", kind=str(one.kind), incident=one.id, title=one.title)
        for one in written.closed:
            _log.info("an incident has closed", kind=str(one.kind), incident=one.id, title=one.title)
        return {"opened": len(written.opened), "closed": len(written.closed)}

    async def _check_livekit(self) -> None:
        """Ask a LiveKit that failed whether it still does, where no sweep would."""
        if self._context.settings.sweep_interval > 0:
            return
        for client in self._context.clients.values():
            if client.trouble is not None:
                with contextlib.suppress(UsherError):  # the client keeps why
                    await client.find_room(_CHECK_ROOM)

    def _find(
        self, connection: Connection, objectives: Sequence[Objective] | None, own: ReplicaState
    ) -> tuple[list[Incident], list[Sighting], set[IncidentKind], bool]:
        now = self._context.clock.now()
        known = open_incidents(connection)
        sightings: list[Sighting] = []
        unjudged: set[IncidentKind] = set()
        for kinds, find in self._conditions(connection, known, now, objectives, own):
            try:
                sightings += find()
            except UsherError:
                raise
            except Exception as error:  # a defect in one condition must not hide what the others find
                if as_unavailable(error) is not None:
                    raise
                self._context.defects.note("incidents", error, kinds=[str(kind) for kind in kinds])
                unjudged |= set(kinds)
        if objectives is None:
            unjudged.add(IncidentKind.OBJECTIVE_BURNING)
        return known, sightings, unjudged, self._recorder.has_unnotified(connection, known, now)

    def _conditions(
        self,
        connection: Connection,
        known: Sequence[Incident],
        now: datetime,
        objectives: Sequence[Objective] | None,
        own: ReplicaState,
    ) -> Iterator[tuple[tuple[IncidentKind, ...], Find]]:
        # Facts are read by the conditions, so that one that cannot be read costs only those that need it. Of some
        # conditions there are few incidents; they come first, for the number that is open at a time is limited.
        kind = IncidentKind
        waiting = cache(lambda: read_waiting(connection, now))
        queues = cache(lambda: read_queues(connection, now))
        lost = cache(lambda: read_lost_calls(connection, now))
        book = cache(lambda: self._newest_book(connection))
        details = cache(lambda: heartbeat_details(connection))
        replicas = cache(lambda: [own, *states_of_others(details(), self._context)])
        served = cache(lambda: served_projects(details(), self._context))

        def livekit() -> Iterable[Sighting]:
            states = [state for replica in replicas() for state in replica.livekit]
            found = livekit_troubles(states, Counter(one.project for one in waiting()))
            return [*found, *removed_projects(waiting_by_project(waiting(), queues()), served())]

        def webhooks() -> Iterable[Sighting]:
            swept = {one.project: one.missed_joins for one in sweep_heartbeats(connection)}
            return silent_webhooks({project: swept.get(project, 0) for project in self._context.clients})

        def agents() -> Iterable[Sighting]:
            is_wanted = partial(self._is_wanted, book())
            return agents_not_joining(
                read_attempts(connection, known, now), _in_projects(served(), waiting()), is_wanted
            )

        def callers() -> Iterable[Sighting]:
            return callers_without_agents((one for one in lost() if one.kind is not kind.RULE_BROKEN), now)

        def rules() -> Iterable[Sighting]:
            failed = [one for one in lost() if one.kind is kind.RULE_BROKEN]
            return broken_rules(book().bad.values(), failed, now)

        def rows() -> Iterable[Sighting]:
            return bad_rows(read_bad_rows(connection), book().lookups.bad)

        yield (kind.LIVEKIT_REFUSES, kind.LIVEKIT_UNREACHABLE), livekit
        yield (kind.WEBHOOKS_SILENT,), webhooks
        yield (kind.AGENT_NOT_JOINING,), agents
        yield (kind.NO_SHOW, kind.NO_RULE), callers
        yield (kind.QUEUE_GROWING,), lambda: growing_queues(_in_projects(served(), queues()))
        yield (kind.RULE_BROKEN,), rules
        yield (kind.RULE_BROKEN,), rows
        yield (kind.OBJECTIVE_BURNING,), lambda: burning_objectives(objectives or ())
        yield (kind.REPLICA_CLOCK,), lambda: clocks_off({one.name: one.ahead_s for one in replicas()})
        yield (kind.WEBHOOK_PAUSED,), lambda: paused_webhooks(paused_subscriptions(connection))

    def _newest_book(self, connection: Connection) -> RuleBook:
        newest = max(self._known_book, self._book(), key=lambda one: one.version)
        self._known_book = follow(connection, newest)
        return self._known_book

    def _is_wanted(self, book: RuleBook, agent: str) -> bool:
        """Return whether a failed probe of an agent matters: a rule names it, or it is probed on a schedule."""
        if self._wanted is None or self._wanted[0] is not book:
            self._wanted = book, _agents_of(book)
        return agent in self._wanted[1] or agent in self._context.settings.canary_names

    def _write(self, connection: Connection, sightings: Sequence[Sighting], unjudged: set[IncidentKind]) -> Written:
        # Read again: another replica, whose turn was late, may have written meanwhile.
        changes = plan_changes(open_incidents(connection), sightings, unjudged)
        written = write_changes(connection, changes, self._context.clock.now())
        self._recorder.record_incidents(connection, written)
        return written


def _in_projects(served: Collection[str], found: Iterable[OfProjectT]) -> list[OfProjectT]:
    """Return what is of a project that is configured: of another nothing changes until it is configured again."""
    return [one for one in found if one.project in served]


def _agents_of(book: RuleBook) -> set[str]:
    """Return the agents that enabled rules name, as the first or as a fallback."""
    return {agent for rule in book.rules if rule.enabled for agent in rule.agents}
