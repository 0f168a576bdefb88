"""One usable row of `routing_rules`, and one that cannot be used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from app.db.columns.action_types import OnNoShow, RuleAction
from app.db.types import OnMatch, Recover, Scope
from app.errors import Problem
from app.rules.conditions.hours import ActiveHours
from app.rules.fallbacks import Fallback, read_fallbacks

DRAFT_ID: Final = 2**53
"""Stands for the id of a rule that is not stored yet. Its rollout share may differ once it is saved."""


class Rule(NamedTuple):
    """A usable routing rule.

    Documents are kept as JSON text and parsed when asked for: a hundred thousand of them must fit into memory, and be
    made at a start, for which a frozen dataclass would take 5 µs longer each. The text of the pattern is compact, the
    others are as the database gives them.
    """

    id: int
    name: str
    description: str
    pattern_text: str
    metadata_text: str | None
    attributes_text: str | None
    fallbacks_text: str | None
    enabled: bool
    priority: int
    action: RuleAction
    agent_name: str | None
    deployment: str | None
    scope: Scope
    on_match: OnMatch
    rollout_percent: int
    rollout_key: str
    active_hours: str | None
    timezone: str
    holidays: str | None
    paused_until: str | None
    answer_timeout_s: int
    max_attempts: int
    on_no_show: OnNoShow
    transfer_to: str | None
    min_stay_s: int
    recover: Recover
    withdraw: bool
    max_calls: int | None
    queue_timeout_s: int | None
    queue_priority: int
    announce: bool
    objective_percent: float | None
    objective_s: float | None
    resumes_at: datetime | None
    """`paused_until`, parsed."""
    hours: ActiveHours | None
    """`active_hours`, parsed; None when the rule is always in force. Rules of equal hours share one object."""

    @property
    def pattern(self) -> dict[str, Any]:
        return json.loads(self.pattern_text)  # type: ignore[no-any-return]

    @property
    def metadata(self) -> Any:
        return None if self.metadata_text is None else json.loads(self.metadata_text)

    @property
    def attributes(self) -> Any:
        return None if self.attributes_text is None else json.loads(self.attributes_text)

    @property
    def fallbacks(self) -> Any:
        return None if self.fallbacks_text is None else json.loads(self.fallbacks_text)

    @property
    def fallback_agents(self) -> tuple[Fallback, ...]:
        """The agents to ask in turn when `agent_name` did not come."""
        return read_fallbacks(self.fallbacks, self.answer_timeout_s)

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of the agents to ask in turn; none unless the rule dispatches."""
        own = () if self.agent_name is None else (self.agent_name,)
        return own + tuple(one.agent_name for one in self.fallback_agents)

    @property
    def rank(self) -> int:
        """Priority and id in one number: the order in which rules are tried."""
        return _rank(self.priority, self.id)


SETTINGS: Final = Rule._fields[Rule._fields.index("enabled") :]
"""The fields that are no texts of the rule's own: many rules have equal ones."""


@dataclass(frozen=True, slots=True)
class BadRule:
    """A row that cannot be used: skipped in evaluation, shown in lists."""

    id: int
    name: str
    priority: int
    enabled: bool
    problems: tuple[Problem, ...]

    @property
    def rank(self) -> int:
        """Its place in the order of rules."""
        return _rank(self.priority, self.id)


def _rank(priority: int, rule_id: int) -> int:
    return (priority << 64) + rule_id
