"""Intended against seen: pure. What LiveKit has of what we asked for, whose it is, and what is left over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.db.types import DispatchStatus
from app.dispatch.client import SeenDispatch, SeenParticipant
from app.observe.observation import RoomObservation
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE, Dispatch
from app.outbox.states import WAITING

JOB_LIST_LAG_S = 6.0
"""How late LiveKit's job list may be (4.5 s measured): before this an empty list proves nothing."""


@dataclass(frozen=True, slots=True)
class RoomGone:
    """The session the dispatch was made for is over, even if its name is in use again."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class CallersGone:
    """Nobody whom the dispatch serves is in the room any more."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class Arrived:
    """The agent is in the room. For a dispatch that is `joined` already: another agent than noted is the right one."""

    dispatch: Dispatch
    agent: SeenParticipant
    livekit_dispatch_id: str | None
    job_id: str | None
    worker_id: str | None


@dataclass(frozen=True, slots=True)
class AgentGone:
    """The agent that had joined is not in the room any more."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class WrittenDown:
    """LiveKit has our dispatch, whatever the call that made it seemed to say."""

    dispatch: Dispatch
    livekit_dispatch_id: str


@dataclass(frozen=True, slots=True)
class NotYetHere:
    """No agent so far; `cause` says why as far as LiveKit tells.

    `certain` is False while an agent of that name is there and the job list is too young to tell whose it is.
    """

    dispatch: Dispatch
    cause: str
    job_id: str | None
    certain: bool


@dataclass(frozen=True, slots=True)
class Stray:
    """A dispatch of ours that nobody needs (any more), with the agents it has brought."""

    livekit_dispatch_id: str
    agent_identities: tuple[str, ...]
    why: str


Finding = RoomGone | CallersGone | Arrived | AgentGone | WrittenDown | NotYetHere | Stray


def compare(
    intended: Sequence[Dispatch],
    callers: Mapping[str, Collection[str]],
    seen: RoomObservation,
    settled: Collection[str] = (),
    in_vain: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """Return what `seen` says about the live dispatches `intended` of one room name.

    `callers`: by dispatch id the SIDs it serves (missing: it serves the room as such). `settled`: ids of our
    dispatches that want no agent any more. `in_vain`: by dispatch id the agents given up on.
    What carries no mark of ours and is not told by agent name and metadata
    is left alone.
    """
    findings: list[Finding] = []
    here = [dispatch for dispatch in intended if dispatch.room_sid == seen.room_sid]
    findings += [RoomGone(dispatch) for dispatch in intended if dispatch.room_sid != seen.room_sid]
    present = {participant.sid for participant in seen.participants}
    ownership = _Ownership(here, seen, settled)
    wanted: list[Dispatch] = []
    for dispatch in here:
        served = callers.get(dispatch.id)
        abandoned = served is not None and not present.intersection(served)
        if abandoned and (dispatch.status in WAITING or dispatch.withdraw):
            findings.append(CallersGone(dispatch))
        else:
            wanted.append(dispatch)
    assigned = ownership.assign(wanted)
    for dispatch in wanted:
        agent = assigned.get(dispatch.id)
        if agent is not None:
            if dispatch.agent_sid != agent.sid or dispatch.status is not DispatchStatus.JOINED:
                findings.append(ownership.arrival(dispatch, agent))
        elif dispatch.status is DispatchStatus.JOINED:
            if dispatch.agent_sid not in present:
                findings.append(AgentGone(dispatch))
        else:
            findings.append(_missing(dispatch, ownership, seen, assigned))
    findings += ownership.strays(wanted, assigned)
    findings += ownership.latecomers(wanted, assigned, in_vain or {})
    return findings


class _Ownership:
    """Which listed dispatch is whose, and which agent came by which."""

    def __init__(self, here: Sequence[Dispatch], seen: RoomObservation, settled: Collection[str]) -> None:
        self._seen = [entry for entry in seen.dispatches or () if entry.agent_name and not entry.deleted]
        self._agents = [one for one in seen.participants if one.kind == "AGENT" and one.active]
        self._settled = settled
        self._at = seen.at
        self.owner: dict[str, str] = {}
        ids = {dispatch.id for dispatch in here}
        by_livekit_id = {dispatch.livekit_dispatch_id: dispatch.id for dispatch in here if dispatch.livekit_dispatch_id}
        for entry in self._seen:
            marked = entry.attributes.get(DISPATCH_ID_ATTRIBUTE)
            if marked is not None and (marked in ids or marked in settled):
                self.owner[entry.id] = marked
            elif entry.id in by_livekit_id:
                self.owner[entry.id] = by_livekit_id[entry.id]
        # Servers before 1.13.2 drop the attributes: equal agent and metadata, on one without a mark, is the next best.
        claimed = set(self.owner.values())
        for dispatch in here:
            if dispatch.id in claimed or dispatch.livekit_dispatch_id or not dispatch.may_be_at_livekit:
                continue
            for entry in self._seen:
                same = entry.agent_name == dispatch.agent_to_ask and entry.metadata == dispatch.metadata
                if entry.id not in self.owner and not entry.attributes.get(DISPATCH_ID_ATTRIBUTE) and same:
                    self.owner[entry.id] = dispatch.id
                    break

    def entries(self, dispatch_id: str) -> list[SeenDispatch]:
        return [entry for entry in self._seen if self.owner.get(entry.id) == dispatch_id]

    def agents_of(self, entry: SeenDispatch) -> list[SeenParticipant]:
        identities = {job.participant_identity for job in entry.jobs} | {f"agent-{job.id}" for job in entry.jobs}
        return [agent for agent in self._agents if agent.identity in identities]

    def assign(self, wanted: Sequence[Dispatch]) -> dict[str, SeenParticipant]:
        """Return by dispatch id its agent: by the job list where it has filled, else by name where only one can be."""
        assigned: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            candidates = [agent for entry in self.entries(dispatch.id) for agent in self.agents_of(entry)]
            kept = next((agent for agent in candidates if agent.sid == dispatch.agent_sid), None)
            if candidates:
                assigned[dispatch.id] = kept or candidates[0]
        taken = {agent.sid for agent in assigned.values()} | self.told()
        for dispatch in wanted:
            noted = next((agent for agent in self._agents if agent.sid == dispatch.agent_sid), None)
            if dispatch.id not in assigned and noted is not None and noted.sid not in taken:
                assigned[dispatch.id] = noted
                taken.add(noted.sid)
        open_dispatches = [one for one in wanted if one.id not in assigned and one.may_be_at_livekit]
        for name in {dispatch.agent_to_ask for dispatch in open_dispatches}:
            waiting = sorted((one for one in open_dispatches if one.agent_to_ask == name), key=lambda one: one.id)
            free = [agent for agent in self._agents if agent.agent_name == name and agent.sid not in taken]
            # As many agents as dispatches: all have come; the oldest gets the first until the job list tells better.
            if len(free) >= len(waiting) > 0:
                assigned |= {dispatch.id: agent for dispatch, agent in zip(waiting, free, strict=False)}
        return assigned

    def arrival(self, dispatch: Dispatch, agent: SeenParticipant) -> Arrived:
        for entry in self.entries(dispatch.id):
            for job in entry.jobs:
                if agent.identity in {job.participant_identity, f"agent-{job.id}"}:
                    return Arrived(dispatch, agent, entry.id, job.id, job.worker_id or None)
        entries = self.entries(dispatch.id)
        return Arrived(dispatch, agent, entries[0].id if entries else None, None, None)

    def told(self) -> set[str]:
        """Return the SIDs of the agents whose job is on some list, ours or not."""
        return {agent.sid for entry in self._seen for agent in self.agents_of(entry)}

    def unattributed(self, name: str, assigned: Mapping[str, SeenParticipant]) -> list[SeenParticipant]:
        """Return the agents of that name that no list and no assignment accounts for."""
        taken = self.told() | {agent.sid for agent in assigned.values()}
        return [agent for agent in self._agents if agent.agent_name == name and agent.sid not in taken]

    def latecomers(
        self,
        wanted: Sequence[Dispatch],
        assigned: Mapping[str, SeenParticipant],
        in_vain: Mapping[str, Collection[str]],
    ) -> list[Stray]:
        """Return agents that came for an attempt we had given up, now that another agent is there.

        The dispatch they came by is deleted, so no list names them; somebody else's agent is on a list once that has
        filled.
        """
        strays: list[Stray] = []
        for dispatch in wanted:
            if dispatch.id not in assigned:
                continue
            for name in in_vain.get(dispatch.id, ()):
                unfilled = any(entry.agent_name == name and not entry.jobs for entry in self._seen)
                late = [
                    agent.identity
                    for agent in self.unattributed(name, assigned)
                    if not unfilled or self._age(agent) >= JOB_LIST_LAG_S
                ]
                if late:
                    strays.append(Stray("", tuple(late), "it came after we had given up on it"))
        return strays

    def _age(self, agent: SeenParticipant) -> float:
        joined = agent.document.get("joinedAtMs")
        try:
            return self._at.timestamp() - int(str(joined)) / 1000
        except ValueError:
            return 0.0

    def strays(self, wanted: Sequence[Dispatch], assigned: Mapping[str, SeenParticipant]) -> list[Stray]:
        strays: list[Stray] = []
        by_id = {dispatch.id: dispatch for dispatch in wanted}
        for entry in self._seen:
            owner = self.owner.get(entry.id)
            if owner is None:
                continue
            identities = tuple(agent.identity for agent in self.agents_of(entry))
            if owner in self._settled:
                strays.append(Stray(entry.id, identities, "its dispatch wants no agent any more"))
                continue
            dispatch = by_id.get(owner)
            agent = assigned.get(owner)
            if dispatch is None or dispatch.livekit_dispatch_id in {None, entry.id}:
                extra = tuple(one for one in identities if agent is not None and one != agent.identity)
                if extra:
                    strays.append(Stray("", extra, "a second agent came by one dispatch"))
            elif agent is None or agent.identity not in identities:
                strays.append(Stray(entry.id, identities, "an earlier attempt took effect late"))
        return strays


def _missing(
    dispatch: Dispatch, ownership: _Ownership, seen: RoomObservation, assigned: Mapping[str, SeenParticipant]
) -> Finding:
    entries = ownership.entries(dispatch.id)
    if dispatch.status is not DispatchStatus.DISPATCHED and entries:
        return WrittenDown(dispatch, entries[-1].id)
    if seen.dispatches is None:
        return NotYetHere(dispatch, "not looked into", None, certain=False)
    if not entries:
        return NotYetHere(dispatch, "LiveKit does not list the dispatch any more", None, certain=True)
    since = dispatch.dispatched_at
    filled = since is None or (seen.at - since).total_seconds() >= JOB_LIST_LAG_S
    jobs = [job for entry in entries for job in entry.jobs]
    if not jobs:
        cause = "no worker took it" if filled else "no worker is seen to have taken it"
        perhaps = ownership.unattributed(dispatch.agent_to_ask, assigned)
        return NotYetHere(dispatch, cause, None, certain=filled or not perhaps)
    job = jobs[-1]
    if job.status == "JS_SUCCESS":
        cause = "the worker refused the job or left at once"
    elif job.status == "JS_FAILED":
        cause = f"the job failed{': ' + job.error if job.error else ''}"
    else:
        cause = "a worker took it and its agent never came"
    return NotYetHere(dispatch, f"{cause} (job {job.id})", job.id, certain=True)
