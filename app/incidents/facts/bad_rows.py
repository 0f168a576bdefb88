"""Reads the rows of tables that people write which hold what cannot be used; of rules the book has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from app.agents.stored_agents import list_agents
from app.db.editing.unreadable_times import unreadable_times
from app.incidents.messages.channel import list_notifications
from app.incidents.messages.subscription import list_subscriptions

NOUNS: Final = {
    "agents": "agent",
    "incidents": "incident",
    "lookups": "lookup",
    "notifications": "notification",
    "routing_rules": "rule",
    "webhook_subscriptions": "subscription",
}
"""By table, what one row is called."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row with values that cannot be used, each a text that names its column and says what to write there.

    No text holds the value: that of a URL is a secret.
    """

    table: str
    name: str
    problems: tuple[str, ...]

    @property
    def noun(self) -> str:
        return NOUNS[self.table]


def read_bad_rows(connection: Connection) -> list[BadRow]:
    """Return the bad rows of agents, notifications, subscriptions and open incidents, and lookups with bad times."""
    found = [BadRow("agents", one.agent_name, one.problems) for one in list_agents(connection)]
    found += [BadRow("notifications", one.name, tuple(one.problems)) for one in list_notifications(connection)]
    found += [BadRow("webhook_subscriptions", one.name, tuple(one.problems)) for one in list_subscriptions(connection)]
    found += _with_bad_times(connection, "incidents", "id", "closed_at IS NULL")
    found += _with_bad_times(connection, "lookups", "name")
    return [one for one in found if one.problems]


def bad_times_of_rules(connection: Connection) -> Iterable[BadRow]:
    """Return the rules whose stamps cannot be read; it reads every rule."""
    return _with_bad_times(connection, "routing_rules", "name")


def _with_bad_times(connection: Connection, table: str, key: str, where: str = "1") -> list[BadRow]:
    times = unreadable_times(connection, table, key, where)
    return [BadRow(table, name, tuple(map(str, problems))) for name, problems in times.items()]
