"""Decides which listed dispatch is whose, and which agent came by which: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from app.db.types import DispatchStatus
from app.livekit.client import SeenDispatch, SeenParticipant
from app.observe.finding import Arrived, Stray
from app.observe.observation import RoomObservation
from app.observe.owners import PromisedMark, owners_by_content, owners_by_id, owners_by_promise, serves
from app.outbox.dispatch import Dispatch

JOB_LIST_LAG_S = 6.0
"""LiveKit's job list may lag by this much (4.5 s measured): before, an empty list proves nothing.

A longer time for workers to answer (livekit#4541 proposes 12 s instead of 3) would raise it; what waits for the list
(`lifecycle.arrival.FIRST_CHECK_S`) follows.
"""


class Ownership:
    """Attributes what was seen in a room to the live dispatches `here` and to those that want no agent (`unwanted`).

    A listed dispatch is ours by the id in its attributes, by the id LiveKit gave us, by a mark that was `promised` for
    the same agent, or (servers before 1.13.2 drop attributes) by equal agent and metadata. An agent is ours by the job
    list; until that is filled, by its name where only one agent can be meant.
    """

    def __init__(
        self,
        here: Sequence[Dispatch],
        seen: RoomObservation,
        unwanted: Collection[str],
        promised: Collection[PromisedMark],
    ) -> None:
        self._listed = [entry for entry in seen.dispatches or () if entry.agent_name and not entry.deleted]
        self._agents = [one for one in seen.participants if one.is_agent and one.active]
        self._unwanted = unwanted
        self._at = seen.at
        self._owner = owners_by_promise(here, self._listed, promised)
        self._owner |= owners_by_id(here, self._listed, unwanted, self._owner)
        self._owner |= owners_by_content(here, self._listed, self._owner)

    def entries(self, dispatch_id: str) -> list[SeenDispatch]:
        """Return what LiveKit lists of a dispatch of ours."""
        return [entry for entry in self._listed if self._owner.get(entry.id) == dispatch_id]

    def assign(
        self,
        wanted: Sequence[Dispatch],
        ambiguous: Collection[str],
        returning: Mapping[str, str],
        held: Collection[str] = (),
    ) -> dict[str, SeenParticipant]:
        """Return the agents in the room by the id of their dispatch; what is surer decides first.

        `ambiguous`: names of agents that may come by a call that was taken back, so that the name proves nothing.
        `returning`: by agent identity, the caller that it served in an earlier session of the room. `held`: dispatches
        whose noted agent may be about to return, so that they take no other.
        """
        assigned = self._as_kept(wanted)
        waiting_for_own = {one.id for one in wanted if one.id in held and one.status is DispatchStatus.JOINED}
        assigned |= self._by_job_list([one for one in wanted if one.id not in waiting_for_own | assigned.keys()])
        taken = {agent.sid for agent in assigned.values()} | self._sids_with_job()
        assigned |= self._as_noted([one for one in wanted if one.id not in assigned], taken)
        wanted = [one for one in wanted if one.id not in waiting_for_own]
        assigned |= self._as_returned([one for one in wanted if one.id not in assigned], taken, returning)
        # A dispatch that is not listed has no agent here: one of its name belongs to another application.
        waiting = [one for one in wanted if one.id not in assigned and self.entries(one.id)]
        return assigned | self._by_name(waiting, taken, ambiguous)

    def _as_kept(self, wanted: Sequence[Dispatch]) -> dict[str, SeenParticipant]:
        """Return noted agents that keep their conversation although the list names another by a further dispatch.

        That is one that an access token has launched again: the noted agent's own is off the list, or has no job yet.
        """
        named = self._sids_with_job()
        kept: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            if dispatch.status is not DispatchStatus.JOINED or dispatch.livekit_dispatch_id is None:
                continue
            own = [entry for entry in self._listed if entry.id == dispatch.livekit_dispatch_id]
            agent = next((one for one in self._agents if one.sid == dispatch.agent_sid), None)
            if agent is not None and agent.sid not in named and not any(entry.jobs for entry in own):
                kept[dispatch.id] = agent
        return kept

    def _by_job_list(self, wanted: Sequence[Dispatch]) -> dict[str, SeenParticipant]:
        assigned: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            candidates = [agent for entry in self.entries(dispatch.id) for agent in self._agents_of(entry)]
            noted = next((agent for agent in candidates if agent.sid == dispatch.agent_sid), None)
            if candidates:
                assigned[dispatch.id] = noted or candidates[0]
        return assigned

    def _as_noted(self, wanted: Sequence[Dispatch], taken: set[str]) -> dict[str, SeenParticipant]:
        """Return the agents that dispatches have noted; by identity too, since one that reconnects gets a new SID."""
        assigned: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            noted = [agent for agent in self._agents if agent.sid == dispatch.agent_sid] or [
                agent for agent in self._agents if agent.identity == dispatch.agent_identity
            ]
            if noted and noted[0].sid not in taken:
                taken.add(noted[0].sid)
                assigned[dispatch.id] = noted[0]
        return assigned

    def _as_returned(
        self, wanted: Sequence[Dispatch], taken: set[str], returning: Mapping[str, str]
    ) -> dict[str, SeenParticipant]:
        """Return agents that came back by themselves from an earlier session of the room name."""
        assigned: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            free = self._free(dispatch.agent_to_ask, taken)
            back = next((agent for agent in free if serves(dispatch, returning.get(agent.identity))), None)
            if back is not None:
                taken.add(back.sid)
                assigned[dispatch.id] = back
        return assigned

    def _by_name(
        self, waiting: Sequence[Dispatch], taken: set[str], ambiguous: Collection[str]
    ) -> dict[str, SeenParticipant]:
        """Return agents by their name, where there are as many as dispatches: then all have come.

        The oldest dispatch gets the first agent until the job list says better.
        """
        assigned: dict[str, SeenParticipant] = {}
        for name in {dispatch.agent_to_ask for dispatch in waiting}.difference(ambiguous):
            same = sorted((one for one in waiting if one.agent_to_ask == name), key=lambda one: one.id)
            free = self._free(name, taken)
            if len(free) >= len(same):
                assigned |= {dispatch.id: agent for dispatch, agent in zip(same, free, strict=False)}
        return assigned

    def arrival(self, dispatch: Dispatch, agent: SeenParticipant) -> Arrived:
        """Return the arrival of `agent`, with its job and worker once the job list has them."""
        entries = self.entries(dispatch.id)
        for entry in entries:
            for job in entry.jobs:
                if agent.identity in {job.participant_identity, f"agent-{job.id}"}:
                    return Arrived(dispatch, agent, entry.id, job.id, job.worker_id or None)
        return Arrived(dispatch, agent, entries[0].id if entries else None, None, None)

    def came_by_another(self, dispatch: Dispatch) -> bool:
        """Return whether the job list gives the agent noted for `dispatch` to another dispatch, ours or not."""
        return any(
            agent.sid == dispatch.agent_sid
            for entry in self._listed
            if self._owner.get(entry.id) != dispatch.id
            for agent in self._agents_of(entry)
        )

    def has_unattributed_agent(self, name: str, assigned: Mapping[str, SeenParticipant]) -> bool:
        """Return whether the room holds an agent that no dispatch accounts for and whose name is `name` or unknown."""
        return bool(self._free(name, self._accounted(assigned))) or bool(self._free("", self._accounted(assigned)))

    def strays(self, wanted: Sequence[Dispatch], assigned: Mapping[str, SeenParticipant]) -> list[Stray]:
        """Return what is listed as ours and that no dispatch needs."""
        strays: list[Stray] = []
        by_id = {dispatch.id: dispatch for dispatch in wanted}
        needed = {agent.sid for agent in assigned.values()}
        for entry in self._listed:
            owner = self._owner.get(entry.id)
            if owner is None:
                continue
            came = self._agents_of(entry)
            surplus = tuple(one for one in came if one.sid not in needed)
            if owner in self._unwanted:
                strays.append(Stray(entry.id, surplus, "its dispatch wants no agent any more"))
                continue
            dispatch = by_id.get(owner)
            agent = assigned.get(owner)
            if dispatch is None or dispatch.livekit_dispatch_id in {None, entry.id}:
                if agent is not None and surplus:
                    strays.append(Stray("", surplus, "a second agent came by one dispatch"))
            elif agent is None or agent not in came:
                strays.append(Stray(entry.id, surplus, "an earlier attempt took effect late"))
        return strays

    def latecomers(
        self,
        wanted: Sequence[Dispatch],
        assigned: Mapping[str, SeenParticipant],
        given_up: Mapping[str, Collection[str]],
        cancelled_agents: Collection[str],
        returning: Mapping[str, str],
    ) -> list[Stray]:
        """Return agents that came by a call that was taken back, and that no dispatch waits for any more.

        Their dispatch is deleted, so no list names them; an agent of another application is on a list once that is
        filled. `given_up`: by live dispatch the names given up on. `cancelled_agents`: names that cancelled dispatches
        asked for.
        """
        waiting = {dispatch.agent_to_ask for dispatch in wanted if dispatch.id not in assigned}
        over = {name for dispatch in wanted if dispatch.id in assigned for name in given_up.get(dispatch.id, ())}
        names = (over | set(cancelled_agents)) - waiting
        strays: list[Stray] = []
        for agent in self._agents:
            if agent.sid in self._accounted(assigned):
                continue
            served = returning.get(agent.identity)
            if agent.agent_name in names and self._is_judged(agent):
                strays.append(Stray("", (agent,), "it came after we had given up on it"))
            elif any(
                one.agent_name == agent.agent_name and serves(one, served) for one in wanted if one.id in assigned
            ):
                strays.append(Stray("", (agent,), "it came back after another had taken its place"))
        return strays

    def _is_judged(self, agent: SeenParticipant) -> bool:
        """Return whether the job lists would name `agent` by now if its dispatch were still there."""
        unfilled = any(entry.agent_name == agent.agent_name and not entry.jobs for entry in self._listed)
        return not unfilled or self._age(agent) >= JOB_LIST_LAG_S

    def _agents_of(self, entry: SeenDispatch) -> list[SeenParticipant]:
        identities = {job.participant_identity for job in entry.jobs} | {f"agent-{job.id}" for job in entry.jobs}
        return [agent for agent in self._agents if agent.identity in identities]

    def _sids_with_job(self) -> set[str]:
        """Return the SIDs of the agents whose job is on some list, ours or not."""
        return {agent.sid for entry in self._listed for agent in self._agents_of(entry)}

    def _accounted(self, assigned: Mapping[str, SeenParticipant]) -> set[str]:
        return self._sids_with_job() | {agent.sid for agent in assigned.values()}

    def _free(self, name: str, taken: Collection[str]) -> list[SeenParticipant]:
        return [agent for agent in self._agents if agent.agent_name == name and agent.sid not in taken]

    def _age(self, agent: SeenParticipant) -> float:
        return self._at.timestamp() - agent.joined_at if agent.joined_at else 0.0
