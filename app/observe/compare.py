"""Compares the dispatches of a room with what LiveKit showed of it: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.db.types import DispatchStatus
from app.livekit.client import SeenParticipant
from app.livekit.vocabulary import JOB_OVER, NO_CAPACITY, JobStatus
from app.observe.finding import (
    AgentGone,
    AgentLost,
    Arrived,
    CallersGone,
    Finding,
    NotOurs,
    NotYetHere,
    RoomGone,
    RoomUnlisted,
    Stray,
    WrittenDown,
)
from app.observe.observation import RoomObservation
from app.observe.owners import PromisedMark
from app.observe.ownership import JOB_LIST_LAG_S, Ownership
from app.outbox.dispatch import Dispatch
from app.outbox.states import WAITING
from app.translation import recorded

__all__ = [
    "JOB_LIST_LAG_S",
    "AgentGone",
    "AgentLost",
    "Arrived",
    "CallersGone",
    "Finding",
    "Intentions",
    "NotOurs",
    "NotYetHere",
    "PromisedMark",
    "RoomGone",
    "RoomUnlisted",
    "Stray",
    "WrittenDown",
    "compare",
]

_JOINED = DispatchStatus.JOINED


@dataclass(frozen=True, slots=True)
class Intentions:
    """What the database knows of one room name."""

    live: Sequence[Dispatch]
    callers: Mapping[str, Collection[str]]
    """By dispatch, the SIDs of callers that are not known to have left; without entry it serves the room as such."""
    newcomers: Collection[str] = ()
    """SIDs among them that were reported after the observation began, so that it need not show them."""
    unwanted: Collection[str] = ()
    """Ids of our dispatches that want no agent any more."""
    promised: Collection[PromisedMark] = ()
    """Marks on the list that are no live dispatch's, and that access tokens were given."""
    given_up: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By live dispatch, the agents of attempts given up: one that comes after all is one too many."""
    cancelled_agents: Collection[str] = ()
    """Agents of cancelled dispatches of this session, or lately of its name: one may still be on its way."""
    deserted: Collection[str] = ()
    """SIDs of agents whose callers have got another agent: they came back to a deserted one, or were handed over."""
    returning: Mapping[str, str] = field(default_factory=dict)
    """By identity, agents of ours of earlier sessions of this room name, or lost in this one: the caller served."""
    ghosts: Collection[str] = ()
    """SIDs of listed participants of a LiveKit node that is lost: they joined before the room was made again."""


def compare(intended: Intentions, seen: RoomObservation) -> list[Finding]:
    """Return what `seen` says about the live dispatches of one room name; what is not ours is left alone.

    An observation is as old as its beginning: it proves nothing about what was reported later, nor about a dispatch
    that is in doubt then.
    """
    if intended.ghosts:
        living = tuple(one for one in seen.participants if one.sid not in intended.ghosts)
        seen = replace(seen, participants=living)
    if seen.is_served and len(sessions := {one.room_sid for one in intended.live}) == 1:
        return [RoomUnlisted(one) for one in intended.live] + _compare(intended, replace(seen, room_sid=sessions.pop()))
    return _compare(intended, seen)


def _compare(intended: Intentions, seen: RoomObservation) -> list[Finding]:
    here = [dispatch for dispatch in intended.live if dispatch.room_sid == seen.room_sid]
    elsewhere = [dispatch for dispatch in intended.live if dispatch.room_sid != seen.room_sid]
    findings: list[Finding] = [_without_room(one, seen) for one in elsewhere if one.created_at <= seen.at]
    held = {one.id for one in here if seen.is_served or _proves_nothing(one, seen)}
    present = {participant.sid for participant in seen.participants}.union(intended.newcomers)
    deserted = [one for one in seen.participants if one.sid in intended.deserted]
    in_service = replace(seen, participants=tuple(one for one in seen.participants if one.sid not in intended.deserted))
    ownership = Ownership(here, in_service, intended.unwanted, intended.promised)
    wanted: list[Dispatch] = []
    for dispatch in here:
        served = intended.callers.get(dispatch.id)
        if dispatch.id not in held and served is not None and not present.intersection(served):
            if dispatch.status in WAITING:
                findings.append(CallersGone(dispatch))
                continue
            if dispatch.withdraw:
                findings.append(CallersGone(dispatch))
        wanted.append(dispatch)
    ambiguous = {name for dispatch in wanted for name in intended.given_up.get(dispatch.id, ())}
    ambiguous.update(intended.cancelled_agents)
    assigned = ownership.assign(wanted, ambiguous, intended.returning, held)
    wanted = [one for one in wanted if not (one.id in held and one.status is _JOINED and one.id not in assigned)]
    for dispatch in wanted:
        finding = _finding_of(dispatch, assigned, ownership, seen, present)
        if finding is not None:
            findings.append(finding)
    findings += ownership.strays(wanted, assigned)
    findings += [Stray("", (agent,), "its callers have another agent") for agent in deserted]
    findings += ownership.latecomers(wanted, assigned, intended.given_up, intended.cancelled_agents, intended.returning)
    return findings


def _proves_nothing(dispatch: Dispatch, seen: RoomObservation) -> bool:
    """Return whether it proves nothing that `seen` does not show the agent or the callers of `dispatch`."""
    return dispatch.unlisted_at is not None or (
        dispatch.doubtful_until is not None and seen.at < dispatch.doubtful_until
    )


def _finding_of(
    dispatch: Dispatch,
    assigned: Mapping[str, SeenParticipant],
    ownership: Ownership,
    seen: RoomObservation,
    present: Collection[str],
) -> Finding | None:
    """Return what `seen` says about the agent of a dispatch that wants it; None if nothing is new."""
    agent = assigned.get(dispatch.id)
    if dispatch.status is not _JOINED:
        return _missing(dispatch, ownership, seen, assigned) if agent is None else ownership.arrival(dispatch, agent)
    if dispatch.doubtful_until is not None and dispatch.unlisted_at is None and not _is_noted(dispatch, agent):
        return AgentLost(dispatch, has_substitute=agent is not None)
    if agent is not None:
        arrival = ownership.arrival(dispatch, agent)
        return arrival if _adds_something(arrival) else None
    is_displaced = ownership.is_displaced(dispatch)
    if dispatch.agent_sid in present and not is_displaced:
        return NotOurs(dispatch) if ownership.came_by_another(dispatch) else None
    is_gone = dispatch.joined_at is None or dispatch.joined_at <= seen.at
    return AgentGone(dispatch, is_displaced) if is_gone else None


def _without_room(dispatch: Dispatch, seen: RoomObservation) -> RoomGone | RoomUnlisted:
    if seen.room_sid:  # another session has the name
        return RoomGone(dispatch)
    is_over = dispatch.doubtful_until is not None and dispatch.doubtful_until <= seen.at
    return RoomGone(dispatch) if is_over and seen.is_served is False else RoomUnlisted(dispatch)


def _is_noted(dispatch: Dispatch, agent: SeenParticipant | None) -> bool:
    return agent is not None and (agent.sid == dispatch.agent_sid or agent.identity == dispatch.agent_identity)


def _adds_something(arrival: Arrived) -> bool:
    dispatch = arrival.dispatch
    if dispatch.agent_sid != arrival.agent.sid:
        return True
    return dispatch.worker_id is None and arrival.worker_id is not None


def _missing(
    dispatch: Dispatch, ownership: Ownership, seen: RoomObservation, assigned: Mapping[str, SeenParticipant]
) -> Finding:
    entries = ownership.entries(dispatch.id)
    if dispatch.status is not DispatchStatus.DISPATCHED and entries:
        return WrittenDown(dispatch, entries[-1].id)
    if seen.dispatches is None:
        return NotYetHere(dispatch, recorded("LiveKit's dispatches were not listed"), None, certain=False)
    if not entries:
        return NotYetHere(dispatch, recorded("LiveKit does not list the dispatch any more"), None, certain=True)
    since = dispatch.dispatched_at
    filled = since is None or (seen.at - since).total_seconds() >= JOB_LIST_LAG_S
    jobs = [job for entry in entries for job in entry.jobs]
    if not jobs:
        detail = recorded("no worker took it") if filled else recorded("no worker is seen to have taken it")
        certain = filled or not ownership.has_unattributed_agent(dispatch.agent_to_ask, assigned)
        return NotYetHere(dispatch, detail, None, certain=certain, is_over=filled, is_futile=filled)
    job = jobs[-1]
    is_over = all(one.status in JOB_OVER for one in jobs)
    is_futile = is_over or (job.state_reason == NO_CAPACITY and job.status == JobStatus.PENDING)
    if job.state_reason == NO_CAPACITY:
        detail = recorded("no worker had capacity for it")
    elif job.status == JobStatus.CANCELLED:
        detail = recorded("the job was cancelled")
    elif job.status == JobStatus.SUCCESS:
        detail = recorded("the worker refused the job or left at once")
    elif job.status == JobStatus.FAILED:
        detail = recorded("the job failed") + (f": {job.error}" if job.error else "")
    else:
        detail = recorded("a worker took it and its agent never came")
    return NotYetHere(dispatch, f"{detail} (job {job.id})", job.id, certain=True, is_over=is_over, is_futile=is_futile)
