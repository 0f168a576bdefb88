"""Changes what is set for an agent, attributed to an editor, refusing an edit that is based on an older version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from app.agents.agent_check import DEFAULTS, checked
from app.agents.stored_agents import Agent, stored_agent
from app.db.editing.edit import edited_by, lock_edits, refuse_if_edited
from app.db.tables import agent_changes, agents
from app.errors import NotFoundError
from app.translation import translatable


def change_agent(
    connection: Connection,
    agent_name: str,
    columns: Mapping[str, Any],
    editor: str,
    expected: int | None = None,
    *,
    whole: bool = False,
) -> Agent:
    """Set the given columns of an agent (`whole`: the others go back to their defaults); it may have no row yet.

    InvalidInputError with every problem; EditedMeanwhileError unless it is still at version `expected` (None: any).
    """
    values = checked(agent_name, {**DEFAULTS, **columns} if whole else columns)
    lock_edits(connection, agents)
    before = stored_agent(connection, agent_name)
    refuse_if_edited(connection, agent_changes, translatable("agent"), before.version, expected)
    if all(getattr(before, name) == value for name, value in values.items()) and (before.is_stored or not values):
        return before
    with edited_by(connection, editor):
        if before.is_stored:
            connection.execute(update(agents).where(agents.c.agent_name == agent_name).values(values))
        else:
            connection.execute(insert(agents).values(agent_name=agent_name, **values))
    return stored_agent(connection, agent_name)


def remove_settings(connection: Connection, agent_name: str, editor: str, expected: int | None = None) -> Agent:
    """Delete the row of an agent and return what it was; its history stays. NotFoundError if there is none."""
    lock_edits(connection, agents)
    before = stored_agent(connection, agent_name)
    if not before.is_stored:
        raise NotFoundError(translatable("nothing is set for an agent %(agent_name)s", agent_name=repr(agent_name)))
    refuse_if_edited(connection, agent_changes, translatable("agent"), before.version, expected)
    with edited_by(connection, editor):
        connection.execute(delete(agents).where(agents.c.agent_name == agent_name))
    return before
