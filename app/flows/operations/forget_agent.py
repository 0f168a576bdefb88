"""Forgets an agent that nothing names, such as one whose name was mistyped in a probe or a limit."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete

from app.agents.edit_agent import remove_settings
from app.agents.stored_agents import Agent, list_agents, stored_agent
from app.audit import agents_of_rules, known_agents, what_names
from app.db.audit_log import AuditEntry, append
from app.db.tables import probes
from app.errors import ConflictError, NotFoundError, names_meant
from app.translation import joined, translatable

_NAMED = 10
"""What names the agent, in one message."""


def forget_agent(
    connection: Connection, agent_name: str, editor: str, now: datetime, *, scheduled: Collection[str] = ()
) -> Agent:
    """Delete what is set for an agent and its probes, and return what was set; its history stays.

    Raises ConflictError with what names it: a rule, another agent, a dispatch under way, or `scheduled`, the probes
    that the settings ask for. NotFoundError for an agent of which there is nothing to forget.
    """
    before = stored_agent(connection, agent_name)
    named = what_names(connection, agent_name)
    named += ["USHER_CANARY_AGENTS"] if agent_name in scheduled else []
    if named:
        more = [translatable("and %(count)s more", count=len(named) - _NAMED)] if len(named) > _NAMED else []
        raise ConflictError(
            translatable(
                "%(agent)s cannot be forgotten; named by: %(names)s",
                agent=repr(agent_name),
                names=joined("; ", [*named[:_NAMED], *more]),
            )
        )
    probed = connection.execute(delete(probes).where(probes.c.agent_name == agent_name)).rowcount
    if not before.is_stored and not probed:
        raise _not_found(connection, agent_name)
    if before.is_stored:
        remove_settings(connection, agent_name, editor)
    reason = f"what was set for it, and {probed} of its probes, were deleted"
    append(connection, [AuditEntry("agent", agent_name, None, "forgotten", reason, now, editor)])
    return before


def _not_found(connection: Connection, agent_name: str) -> NotFoundError:
    known = {one.name for one in known_agents(connection)}
    if agent_name in known:
        text = translatable(
            "nothing is set for the agent %(agent)s, and no probe of it is kept; its dispatches are listed",
            agent=repr(agent_name),
        )
        return NotFoundError(text)
    known |= agents_of_rules(connection) | {one.agent_name for one in list_agents(connection)}
    hint = names_meant(agent_name, known)
    text = translatable("no agent %(agent)s is known%(hint)s", agent=repr(agent_name), hint=hint)
    return NotFoundError(text, listed_by="" if hint else "usher agents list")
