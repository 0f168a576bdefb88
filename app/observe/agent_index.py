"""Finds the agents in a room by SID, identity, name and job: a room may hold thousands, so nothing is searched."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from app.livekit.client import SeenDispatch, SeenParticipant

_JOINED_AT_PRECISION_S = 1.0
"""Servers that do not say `joined_at_ms` say when a participant joined in whole seconds."""


class AgentIndex:
    """The active agents among the participants of a room, in their order there, and the jobs by which they came."""

    def __init__(self, participants: Iterable[SeenParticipant], listed: Sequence[SeenDispatch]) -> None:
        self.all = [one for one in participants if one.is_agent and one.active]
        self._position = {agent.sid: place for place, agent in enumerate(self.all)}
        self.by_sid = {agent.sid: agent for agent in self.all}
        self._by_identity: dict[str, list[SeenParticipant]] = {}
        self._by_name: dict[str, list[SeenParticipant]] = {}
        for agent in self.all:
            self._by_identity.setdefault(agent.identity, []).append(agent)
            self._by_name.setdefault(agent.agent_name, []).append(agent)
        self.first_by_identity = {identity: agents[0] for identity, agents in self._by_identity.items()}
        self._by_entry = {entry.id: self._with_jobs_of(entry) for entry in listed}
        self.entries_by_sid: dict[str, list[SeenDispatch]] = {}
        """By the SID of an agent, the listed dispatches among whose jobs is its own."""
        for entry in listed:
            for agent in self._by_entry[entry.id]:
                self.entries_by_sid.setdefault(agent.sid, []).append(entry)
        self._give_each_to_one(listed)

    @property
    def sids_with_job(self) -> set[str]:
        """The SIDs of the agents whose job is on some list, ours or not."""
        return set(self.entries_by_sid)

    def of(self, entry: SeenDispatch) -> list[SeenParticipant]:
        """Return the agents that came by the jobs of a listed dispatch."""
        return self._by_entry[entry.id]

    def free(self, name: str, taken: Collection[str]) -> list[SeenParticipant]:
        """Return the agents of that name whose SIDs are not `taken`."""
        return [agent for agent in self._by_name.get(name, ()) if agent.sid not in taken]

    def returned(self, returning: Mapping[str, str]) -> dict[tuple[str, str | None], deque[SeenParticipant]]:
        """Return the agents that served a caller before, by name and caller, and by name and None for any caller.

        `returning`: by the agent's identity, the caller that it served.
        """
        found: dict[tuple[str, str | None], deque[SeenParticipant]] = {}
        for agent in self.all if returning else ():
            served = returning.get(agent.identity)
            if served is not None:
                for caller in (served, None):
                    found.setdefault((agent.agent_name, caller), deque()).append(agent)
        return found

    def _give_each_to_one(self, listed: Sequence[SeenDispatch]) -> None:
        """Leave each agent to the dispatch that brought it, where jobs of several name its identity."""
        names = {entry.agent_name for entry in listed}
        for sid, entries in list(self.entries_by_sid.items()):
            agent = self.by_sid[sid]
            named = [entry for entry in entries if entry.agent_name == agent.agent_name]
            if len(entries) == 1 and (named or agent.agent_name not in names or _is_default(agent, entries[0])):
                continue
            # None if it came by a dispatch of its name whose job is not on the list yet.
            owner = _latest_before(agent, named or entries) if named or agent.agent_name not in names else None
            for entry in entries:
                if entry is not owner:
                    self._by_entry[entry.id] = [one for one in self._by_entry[entry.id] if one is not agent]
            if owner is None:
                del self.entries_by_sid[sid]
            else:
                self.entries_by_sid[sid] = [owner]

    def _with_jobs_of(self, entry: SeenDispatch) -> list[SeenParticipant]:
        identities = {job.participant_identity for job in entry.jobs} | {f"agent-{job.id}" for job in entry.jobs}
        agents = [agent for identity in identities for agent in self._by_identity.get(identity, ())]
        return sorted(agents, key=lambda agent: self._position[agent.sid]) if len(agents) > 1 else agents


def _is_default(agent: SeenParticipant, entry: SeenDispatch) -> bool:
    """Return whether the agent's identity is the one that LiveKit gives to the agent of one job."""
    return agent.identity in {f"agent-{job.id}" for job in entry.jobs}


def _latest_before(agent: SeenParticipant, named: Sequence[SeenDispatch]) -> SeenDispatch:
    """Return the last dispatch made before the agent joined: the one that joins last puts the others out."""
    in_order = sorted(named, key=lambda entry: entry.created_at)
    before = [entry for entry in in_order if entry.created_at <= agent.joined_at + _JOINED_AT_PRECISION_S]
    return (before or in_order)[-1]
