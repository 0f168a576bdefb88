"""What the editor of a rule shows besides the rule: agents, and the fields and values of recent events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.accounts.roles import Role
from app.audit import Figures, Seen, known_agents, last_joins
from app.rules.rows.operator import GROUPS, MEANINGS
from app.rules.warnings.unseen import Traffic
from app.server.console.framework import PageRequest
from app.server.console.rule_pages.editor.agent_choices import HOURS, AgentChoice, AgentHint, agent_choices, agent_hint
from app.server.console.rule_pages.editor.pattern_form import PatternForm
from app.server.console.rule_pages.editor.suggestions import Suggestion, suggested_fields, suggested_values


@dataclass(frozen=True, slots=True)
class EditorFacts:
    """What is offered and said beside the fields; suggestions of values by the place of their line."""

    agents: Sequence[AgentChoice]
    agent_known: AgentHint | None
    fields: Sequence[Suggestion]
    values: Mapping[int, Sequence[Suggestion]]

    def of_pattern(self, pattern: PatternForm) -> dict[str, Any]:
        """Return what the part with the conditions shows."""
        return {
            "pattern": pattern,
            "field_suggestions": self.fields,
            "value_suggestions": self.values,
            "operator_groups": GROUPS,
            "meanings": MEANINGS,
        }


async def read_facts(request: PageRequest, agent_name: str, pattern: PatternForm | None = None) -> EditorFacts:
    """Return what the editor shows for an agent and a pattern; values are read for editors, which is recorded."""
    context = request.context

    def load(connection: Connection) -> tuple[Traffic, list[Seen], dict[str, datetime]]:
        seen = known_agents(connection)
        return context.traffic.read(connection), seen, last_joins(connection, [one.name for one in seen])

    (traffic, seen, joined), found = await asyncio.gather(context.read(load), context.statistics.get(HOURS))
    figures: dict[str, Figures] = {one.agent: one for one in found.agents}
    agents = agent_choices(seen, joined, figures)
    hint = agent_hint(agent_name, agents, context.now)
    if pattern is None or not request.may(Role.EDITOR):
        return EditorFacts(agents, hint, (), {})
    values = _values(traffic, pattern)
    if any(values.values()):
        await request.note_read("/console/rules/values")
    return EditorFacts(agents, hint, suggested_fields(traffic, pattern.lines), values)


async def value_options(request: PageRequest, path: str) -> list[Suggestion]:
    """Return the values that recent events have in a field."""
    traffic = await request.context.read(request.context.traffic.read)
    return suggested_values(traffic, path.strip())


def _values(traffic: Traffic, pattern: PatternForm) -> dict[int, Sequence[Suggestion]]:
    found: dict[int, Sequence[Suggestion]] = {}
    above = ""
    for place, line in enumerate(pattern.lines):
        above = line.field.strip() or above
        found[place] = suggested_values(traffic, above, pattern.lines) if above else ()
    return found
