"""Decides which listed dispatch is whose, and which agent came by which: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from app.db.types import DispatchStatus, Scope
from app.livekit.client import SeenDispatch, SeenParticipant
from app.observe.agent_index import AgentIndex
from app.observe.finding import Arrived, Stray
from app.observe.observation import RoomObservation
from app.observe.owners import PromisedMark, owners_by_content, owners_by_id, owners_by_promise
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
        self._agents = AgentIndex(seen.participants, self._listed)
        self._unwanted = unwanted
        self._at = seen.at
        self._owner = owners_by_promise(here, self._listed, promised)
        self._owner |= owners_by_id(here, self._listed, unwanted, self._owner)
        self._owner |= owners_by_content(here, self._listed, self._owner)
        self._asked = {dispatch.agent_to_ask for dispatch in here}
        self._entries: dict[str, list[SeenDispatch]] = {}
        for entry in self._listed:
            if (owner := self._owner.get(entry.id)) is not None:
                self._entries.setdefault(owner, []).append(entry)
        self._unattributed: set[str] | None = None

    def entries(self, dispatch_id: str) -> list[SeenDispatch]:
        """Return what LiveKit lists of a dispatch of ours."""
        return self._entries.get(dispatch_id, [])

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
        taken = {agent.sid for agent in assigned.values()} | self._agents.sids_with_job
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
        named, listed = self._agents.sids_with_job, {entry.id: entry for entry in self._listed}
        kept: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            if dispatch.status is not DispatchStatus.JOINED or dispatch.livekit_dispatch_id is None:
                continue
            own = listed.get(dispatch.livekit_dispatch_id)
            agent = self._agents.by_sid.get(dispatch.agent_sid or "")
            if agent is not None and agent.sid not in named and (own is None or not own.jobs):
                kept[dispatch.id] = agent
        return kept

    def _by_job_list(self, wanted: Sequence[Dispatch]) -> dict[str, SeenParticipant]:
        assigned: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            candidates = [agent for entry in self.entries(dispatch.id) for agent in self._agents.of(entry)]
            noted = next((agent for agent in candidates if agent.sid == dispatch.agent_sid), None)
            if candidates:
                assigned[dispatch.id] = noted or candidates[0]
        return assigned

    def _as_noted(self, wanted: Sequence[Dispatch], taken: set[str]) -> dict[str, SeenParticipant]:
        """Return the agents that dispatches have noted; by identity too, since one that reconnects gets a new SID."""
        assigned: dict[str, SeenParticipant] = {}
        for dispatch in wanted:
            noted = self._agents.by_sid.get(dispatch.agent_sid or "")
            if noted is None:
                noted = self._agents.first_by_identity.get(dispatch.agent_identity or "")
                if noted is not None and self._is_of_another(noted.agent_name, dispatch):
                    continue
            if noted is not None and noted.sid not in taken:
                taken.add(noted.sid)
                assigned[dispatch.id] = noted
        return assigned

    def _is_of_another(self, agent_name: str, dispatch: Dispatch) -> bool:
        return agent_name != dispatch.agent_to_ask and agent_name in self._asked

    def _as_returned(
        self, wanted: Sequence[Dispatch], taken: set[str], returning: Mapping[str, str]
    ) -> dict[str, SeenParticipant]:
        """Return agents that came back by themselves from an earlier session of the room name."""
        assigned: dict[str, SeenParticipant] = {}
        candidates = self._agents.returned(returning)
        for dispatch in wanted if candidates else ():
            served = None if dispatch.scope is Scope.ROOM else dispatch.participant_identity
            queue = candidates.get((dispatch.agent_to_ask, served), deque())
            while queue and queue[0].sid in taken:
                queue.popleft()
            if queue:
                back = queue.popleft()
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
        by_name: dict[str, list[Dispatch]] = {}
        for dispatch in sorted(waiting, key=lambda one: one.id):
            by_name.setdefault(dispatch.agent_to_ask, []).append(dispatch)
        for name in by_name.keys() - set(ambiguous):
            same, free = by_name[name], self._agents.free(name, taken)
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
        entries = self._agents.entries_by_sid.get(dispatch.agent_sid or "", ())
        return any(self._owner.get(entry.id) != dispatch.id for entry in entries)

    def is_displaced(self, dispatch: Dispatch) -> bool:
        """Return whether an agent that came by another dispatch has the identity of the agent noted for `dispatch`.

        Agents whose program gives them one identity put each other out. None is assigned to `dispatch`.
        """
        agent = self._agents.first_by_identity.get(dispatch.agent_identity or "")
        if agent is None:
            return False
        if agent.sid != dispatch.agent_sid:
            return True
        jobs = [job for entry in self.entries(dispatch.id) for job in entry.jobs]
        return self.came_by_another(dispatch) and agent.identity in {job.participant_identity for job in jobs}

    def has_unattributed_agent(self, name: str, assigned: Mapping[str, SeenParticipant]) -> bool:
        """Return whether the room holds an agent that no dispatch accounts for and whose name is `name` or unknown."""
        if self._unattributed is None:
            accounted = self._accounted(assigned)
            self._unattributed = {agent.agent_name for agent in self._agents.all if agent.sid not in accounted}
        return name in self._unattributed or "" in self._unattributed

    def strays(self, wanted: Sequence[Dispatch], assigned: Mapping[str, SeenParticipant]) -> list[Stray]:
        """Return what is listed as ours and that no dispatch needs."""
        strays: list[Stray] = []
        by_id = {dispatch.id: dispatch for dispatch in wanted}
        needed = {agent.sid for agent in assigned.values()}
        for entry in self._listed:
            owner = self._owner.get(entry.id)
            if owner is None:
                continue
            came = self._agents.of(entry)
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
        replaced = {
            (one.agent_name, None if one.scope is Scope.ROOM else one.participant_identity)
            for one in wanted
            if one.id in assigned
        }
        unfilled = {entry.agent_name for entry in self._listed if not entry.jobs}
        accounted = self._accounted(assigned)
        strays: list[Stray] = []
        for agent in self._agents.all:
            if agent.sid in accounted:
                continue
            served = returning.get(agent.identity)
            if agent.agent_name in names and (agent.agent_name not in unfilled or self._age(agent) >= JOB_LIST_LAG_S):
                # Its job would be on a list by now if its dispatch were still there.
                strays.append(Stray("", (agent,), "it came after we had given up on it"))
            elif served is not None and {(agent.agent_name, None), (agent.agent_name, served)} & replaced:
                strays.append(Stray("", (agent,), "it came back after another had taken its place"))
        return strays

    def _accounted(self, assigned: Mapping[str, SeenParticipant]) -> set[str]:
        return self._agents.sids_with_job | {agent.sid for agent in assigned.values()}

    def _age(self, agent: SeenParticipant) -> float:
        return self._at.timestamp() - agent.joined_at if agent.joined_at else 0.0
