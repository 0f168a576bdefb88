"""Compares the dispatches of a room with what LiveKit showed of it: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.db.types import DispatchStatus
from app.livekit.client import SeenParticipant
from app.livekit.vocabulary import JOB_OVER, NO_CAPACITY, JobStatus
from app.observe.finding import (
    AgentGone,
    Arrived,
    CallersGone,
    Finding,
    NotOurs,
    NotYetHere,
    RoomGone,
    Stray,
    WrittenDown,
)
from app.observe.observation import RoomObservation
from app.observe.ownership import JOB_LIST_LAG_S, Ownership, PromisedMark
from app.outbox.dispatch import Dispatch
from app.outbox.states import WAITING

__all__ = [
    "JOB_LIST_LAG_S",
    "AgentGone",
    "Arrived",
    "CallersGone",
    "Finding",
    "Intentions",
    "NotOurs",
    "NotYetHere",
    "PromisedMark",
    "RoomGone",
    "Stray",
    "WrittenDown",
    "compare",
]


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
    """Agents asked for by dispatches of this session that were cancelled: one may still be on its way."""
    deserted: Collection[str] = ()
    """SIDs of agents whose callers had left when one came back, who gets another agent."""
    returning: Mapping[str, str] = field(default_factory=dict)
    """By identity, agents of ours that came to an earlier session of this room name: the caller that they served."""


def compare(intended: Intentions, seen: RoomObservation) -> list[Finding]:
    """Return what `seen` says about the live dispatches of one room name; what is not ours is left alone.

    An observation is as old as its beginning: it proves nothing about what was reported later.
    """
    here = [dispatch for dispatch in intended.live if dispatch.room_sid == seen.room_sid]
    elsewhere = [dispatch for dispatch in intended.live if dispatch.room_sid != seen.room_sid]
    findings: list[Finding] = [RoomGone(dispatch) for dispatch in elsewhere if dispatch.created_at <= seen.at]
    present = {participant.sid for participant in seen.participants}.union(intended.newcomers)
    deserted = [one for one in seen.participants if one.sid in intended.deserted]
    in_service = replace(seen, participants=tuple(one for one in seen.participants if one not in deserted))
    ownership = Ownership(here, in_service, intended.unwanted, intended.promised)
    wanted: list[Dispatch] = []
    for dispatch in here:
        served = intended.callers.get(dispatch.id)
        if served is not None and not present.intersection(served):
            if dispatch.status in WAITING:
                findings.append(CallersGone(dispatch))
                continue
            if dispatch.withdraw:
                findings.append(CallersGone(dispatch))
        wanted.append(dispatch)
    ambiguous = {name for dispatch in wanted for name in intended.given_up.get(dispatch.id, ())}
    ambiguous.update(intended.cancelled_agents)
    assigned = ownership.assign(wanted, ambiguous, intended.returning)
    for dispatch in wanted:
        agent = assigned.get(dispatch.id)
        if agent is not None:
            arrival = ownership.arrival(dispatch, agent)
            if _adds_something(arrival):
                findings.append(arrival)
        elif dispatch.status is not DispatchStatus.JOINED:
            findings.append(_missing(dispatch, ownership, seen, assigned))
        elif dispatch.agent_sid in present:
            if ownership.came_by_another(dispatch):
                findings.append(NotOurs(dispatch))
        elif dispatch.joined_at is None or dispatch.joined_at <= seen.at:
            findings.append(AgentGone(dispatch))
    findings += ownership.strays(wanted, assigned)
    findings += [Stray("", (agent.identity,), "its callers have left, and have another") for agent in deserted]
    findings += ownership.latecomers(wanted, assigned, intended.given_up, intended.cancelled_agents, intended.returning)
    return findings


def _adds_something(arrival: Arrived) -> bool:
    dispatch = arrival.dispatch
    if dispatch.status is not DispatchStatus.JOINED or dispatch.agent_sid != arrival.agent.sid:
        return True
    return dispatch.worker_id is None and arrival.worker_id is not None


def _missing(
    dispatch: Dispatch, ownership: Ownership, seen: RoomObservation, assigned: Mapping[str, SeenParticipant]
) -> Finding:
    entries = ownership.entries(dispatch.id)
    if dispatch.status is not DispatchStatus.DISPATCHED and entries:
        return WrittenDown(dispatch, entries[-1].id)
    if seen.dispatches is None:
        return NotYetHere(dispatch, "LiveKit's dispatches were not listed", None, certain=False)
    if not entries:
        return NotYetHere(dispatch, "LiveKit does not list the dispatch any more", None, certain=True)
    since = dispatch.dispatched_at
    filled = since is None or (seen.at - since).total_seconds() >= JOB_LIST_LAG_S
    jobs = [job for entry in entries for job in entry.jobs]
    if not jobs:
        detail = "no worker took it" if filled else "no worker is seen to have taken it"
        certain = filled or not ownership.has_unattributed_agent(dispatch.agent_to_ask, assigned)
        return NotYetHere(dispatch, detail, None, certain=certain, is_over=filled, is_futile=filled)
    job = jobs[-1]
    is_over = all(one.status in JOB_OVER for one in jobs)
    is_futile = is_over or (job.state_reason == NO_CAPACITY and job.status == JobStatus.PENDING)
    if job.state_reason == NO_CAPACITY:
        detail = "no worker had capacity for it"
    elif job.status == JobStatus.CANCELLED:
        detail = "the job was cancelled"
    elif job.status == JobStatus.SUCCESS:
        detail = "the worker refused the job or left at once"
    elif job.status == JobStatus.FAILED:
        detail = f"the job failed{': ' + job.error if job.error else ''}"
    else:
        detail = "a worker took it and its agent never came"
    return NotYetHere(dispatch, f"{detail} (job {job.id})", job.id, certain=True, is_over=is_over, is_futile=is_futile)
