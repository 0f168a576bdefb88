"""The free places of agents and rules: counted from live rows, and taken one by one.

An agent's limits hold in each project by itself, since its workers there are others. A rule's `max_calls` holds for the
calls with its own agent; fallbacks are what is asked beyond it, and a call that is handed over has left the rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from app.agents.agent_limits import AgentLimits
from app.outbox.dispatch import Dispatch

Agent = tuple[str, str]
"""Project and name."""


class Lane(NamedTuple):
    """A part of a queue: callers of one rule who wait for one agent. `is_of_rule`: and for a place of the rule."""

    project: str
    agent_name: str
    rule_id: int
    is_of_rule: bool


class Shortage(Enum):
    """Why an agent cannot be asked now."""

    OUT_OF_SERVICE = auto()
    AGENT_FULL = auto()
    TOO_FAST = auto()
    RULE_FULL = auto()


@dataclass(slots=True)
class Held:
    """How many places are held. `started`: of each agent those started within the last second."""

    agents: Counter[Agent] = field(default_factory=Counter)
    rules: Counter[int] = field(default_factory=Counter)
    started: Counter[Agent] = field(default_factory=Counter)


class Places:
    """What is free of `limits` at `now`, while `held` is taken; `rules`: `max_calls` of the rules that have one."""

    def __init__(
        self, limits: Mapping[str, AgentLimits], rules: Mapping[int, int | None], held: Held, now: datetime
    ) -> None:
        self.limits = limits
        self.now = now
        self._rules = rules
        self._held = held

    def is_out_of_service(self, agent_name: str) -> bool:
        """Return whether the agent is not to be asked now."""
        limit = self.limits.get(agent_name)
        return limit is not None and limit.is_out_of_service(self.now)

    def shortage(self, dispatch: Dispatch, agent_name: str, rung: int) -> Shortage | None:
        """Return what keeps `agent_name`, at this rung of the ladder, from being asked for `dispatch`, if anything."""
        shortage = self.shortage_of_agent(dispatch.project, agent_name)
        if shortage in {Shortage.OUT_OF_SERVICE, Shortage.AGENT_FULL}:
            return shortage
        most = self._rule_limit(dispatch, rung)
        return Shortage.RULE_FULL if self.is_rule_full(dispatch.rule_id, most) else shortage

    def shortage_of_agent(self, project: str, agent_name: str) -> Shortage | None:
        """Return what keeps an agent from being asked for one more call of a project, if anything."""
        agent, limit = (project, agent_name), self.limits.get(agent_name)
        if limit is None:
            return None
        if limit.is_out_of_service(self.now):
            return Shortage.OUT_OF_SERVICE
        if limit.max_calls is not None and self._held.agents[agent] >= limit.max_calls:
            return Shortage.AGENT_FULL
        rate = limit.starts_per_second
        return Shortage.TOO_FAST if rate is not None and self._held.started[agent] >= rate else None

    def is_rule_full(self, rule_id: int, most: int | None) -> bool:
        """Return whether a rule has `most` calls or more."""
        return most is not None and self._held.rules[rule_id] >= most

    def describe(self, dispatch: Dispatch, agent_name: str, shortage: Shortage) -> str:
        """Return in words why the agent cannot be asked now."""
        if shortage is Shortage.RULE_FULL:
            held, most = self._held.rules[dispatch.rule_id], self._rule_limit(dispatch, 0)
            return f"rule {dispatch.rule_name!r} has {held} of {most} calls"
        return self.describe_agent(dispatch.project, agent_name, shortage)

    def describe_agent(self, project: str, agent_name: str, shortage: Shortage) -> str:
        """Return in words what `shortage_of_agent` says."""
        limit = self.limits[agent_name]
        if shortage is Shortage.AGENT_FULL:
            return f"{agent_name} has {self._held.agents[project, agent_name]} of {limit.max_calls} calls"
        if shortage is Shortage.TOO_FAST:
            return f"{agent_name} starts at most {limit.starts_per_second} calls a second"
        end = "it is put back" if limit.is_out_indefinitely else f"{limit.out_of_service_until:%Y-%m-%d %H:%M:%S} UTC"
        return f"{agent_name} is out of service until {end}"

    def take(self, dispatch: Dispatch) -> None:
        """Count a place for `dispatch`, whose agent is being asked."""
        self.count(dispatch.project, dispatch.agent_to_ask, dispatch.rule_id, is_of_rule=dispatch.is_of_rule)

    def count(self, project: str, agent_name: str, rule_id: int, *, is_of_rule: bool = True) -> None:
        """Count a place as taken; `is_of_rule`: also one of the rule."""
        self._held.agents[project, agent_name] += 1
        self._held.started[project, agent_name] += 1
        self._held.rules[rule_id] += is_of_rule

    def may_be_free(self, lane: Lane) -> bool:
        """Return whether the first callers of a queue may start now, or have another agent to ask."""
        shortage = self.shortage_of_agent(lane.project, lane.agent_name)
        if shortage is Shortage.OUT_OF_SERVICE:
            return True  # which other agents they have is known only of each by itself
        if shortage is Shortage.AGENT_FULL:
            return False
        return not lane.is_of_rule or not self.is_rule_full(lane.rule_id, self._rules.get(lane.rule_id))

    def _rule_limit(self, dispatch: Dispatch, rung: int) -> int | None:
        if rung > 0 or not dispatch.is_of_rule:
            return None
        return self._rules.get(dispatch.rule_id, dispatch.max_calls)
