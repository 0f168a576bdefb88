"""Reads the recorded edits of agents from `agent_changes`, which the database's triggers write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, select

from app.agents.agent_check import DEFAULTS, EDITABLE
from app.agents.agent_limits import FOREVER, is_before_end, is_indefinite, read_end
from app.agents.stored_agents import Agent
from app.db.tables import agent_changes
from app.json_shape import Instant, JsonShape


class Difference(NamedTuple):
    """A column of an agent before and after an edit: None where nothing was set, `FOREVER` for an end that is open."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class AgentChange(JsonShape):
    """One recorded edit of one agent; `before` and `after` are rows as they were, null where there was none."""

    id: Annotated[int, Field(description="the version of the agent that the change led to")]
    agent_name: str
    change: Literal["insert", "update", "delete"]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed_at: Instant
    changed_by: str
    change_set: Annotated[str | None, Field(description="the same for all changes that were made together")]
    why: Annotated[str | None, Field(description="the reason that the editor gave")]

    @property
    def differences(self) -> list[Difference]:
        """The columns that the edit changed."""
        before, after = self.before or {}, self.after or {}
        found = [Difference(name, _read(name, before.get(name)), _read(name, after.get(name))) for name in EDITABLE]
        return [one for one in found if one.before != one.after]


def agent_history(
    connection: Connection, agent_name: str | None = None, *, limit: int = 100, before_version: int | None = None
) -> list[AgentChange]:
    """Return the recorded edits, newest first; page on with `before_version`, the id of the last change seen."""
    query = select(agent_changes).order_by(agent_changes.c.id.desc()).limit(limit)
    if agent_name is not None:
        query = query.where(agent_changes.c.agent_name == agent_name)
    if before_version is not None:
        query = query.where(agent_changes.c.id < before_version)
    return [AgentChange(**row) for row in connection.execute(query).mappings()]


def columns_to_resume(agent: Agent, changes: Iterable[AgentChange]) -> dict[str, Any]:
    """Return what puts an agent back into service, with the substitute and note that it had before it was taken out.

    Those that were edited later stay. `changes` of the agent, newest first.
    """
    columns: dict[str, Any] = {"out_of_service_until": None}
    for change in changes:
        before, after = change.before or {}, change.after or {}
        if is_before_end(read_end(before.get("out_of_service_until")), change.changed_at):
            continue
        if read_end(after.get("out_of_service_until")) is not None:
            columns |= {
                name: before.get(name, DEFAULTS[name])
                for name in ("substitute_agent_name", "note")
                if before.get(name, DEFAULTS[name]) != after.get(name) == getattr(agent, name)
            }
        break
    return columns


def _read(name: str, value: Any) -> Any:
    if name == "out_of_service_until":
        end = read_end(value)
        return FOREVER if is_indefinite(end) else end or value
    return value or None
