"""Changes what is set for an agent, attributed to an editor, refusing an edit that is based on an older version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update

from app.agents.stored_agents import DEFAULTS, Agent, checked, has_row, stored_agent
from app.db.tables import agent_changes, agents, rule_editor
from app.db.types import format_instant
from app.errors import ConflictError, EditedMeanwhileError, NotFoundError


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
    _lock(connection)
    before = stored_agent(connection, agent_name)
    _refuse_if_edited(connection, before, expected)
    exists = has_row(connection, agent_name)
    if all(getattr(before, name) == value for name, value in values.items()) and (exists or not values):
        return before
    row_id = _begin(connection, editor)
    if exists:
        connection.execute(update(agents).where(agents.c.agent_name == agent_name).values(values))
    else:
        connection.execute(insert(agents).values(agent_name=agent_name, **values))
    _end(connection, row_id)
    return stored_agent(connection, agent_name)


def forget_agent(connection: Connection, agent_name: str, editor: str, expected: int | None = None) -> Agent:
    """Delete the row of an agent and return what it was; its history stays. NotFoundError if there is none."""
    _lock(connection)
    before = stored_agent(connection, agent_name)
    if not has_row(connection, agent_name):
        raise NotFoundError(f"nothing is set for an agent {agent_name!r}")
    _refuse_if_edited(connection, before, expected)
    row_id = _begin(connection, editor)
    connection.execute(delete(agents).where(agents.c.agent_name == agent_name))
    _end(connection, row_id)
    return before


def _lock(connection: Connection) -> None:
    # Before the version is read: the lock of the triggers alone would let two edits begin from the same version.
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE agents IN SHARE ROW EXCLUSIVE MODE"))


def _begin(connection: Connection, editor: str) -> int:
    made = connection.execute(insert(rule_editor).values(name=editor)).inserted_primary_key
    if made is None:
        raise ConflictError("the database gave the editor's row no id")
    return int(made[0])


def _end(connection: Connection, row_id: int) -> None:
    connection.execute(delete(rule_editor).where(rule_editor.c.id == row_id))


def _refuse_if_edited(connection: Connection, agent: Agent, expected: int | None) -> None:
    if expected is None or expected == agent.version:
        return
    query = select(agent_changes.c.changed_by, agent_changes.c.changed_at).where(agent_changes.c.id == agent.version)
    change = connection.execute(query).one_or_none()
    by = "" if change is None else f" by {change.changed_by} at {format_instant(change.changed_at)}"
    raise EditedMeanwhileError(
        f"the agent was edited meanwhile{by} (it is at version {agent.version}, you began from {expected});"
        " nothing was saved"
    )
