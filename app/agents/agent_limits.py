"""What limits an agent, and which other agent is asked while it is out of service."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.db.types import parse_instant

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""End of service of an agent that is out until it is put back; PostgreSQL's `infinity` is read as this."""
MAX_SUBSTITUTES = 20
"""Longest chain of substitutes that is followed."""


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """A row of `agents` as far as it decides whether the agent may be asked."""

    agent_name: str
    max_calls: int | None = None
    starts_per_second: int | None = None
    out_of_service_until: datetime | None = None
    substitute_agent_name: str | None = None

    def is_out_of_service(self, now: datetime) -> bool:
        """Return whether the agent is not to be asked at `now`; it is again from the instant itself on."""
        return is_before_end(self.out_of_service_until, now)

    @property
    def is_out_indefinitely(self) -> bool:
        """Whether the agent is out of service until it is put back."""
        return is_indefinite(self.out_of_service_until)


def is_before_end(end: datetime | None, now: datetime) -> bool:
    """Return whether an agent that is out of service until `end` (None: in service) is so at `now`."""
    return end is not None and now < end


def is_indefinite(end: datetime | None) -> bool:
    """Return whether `end` stands for none: it is `FOREVER`, perhaps written in another time zone."""
    return end is not None and end >= FOREVER - timedelta(days=1)


def substitute_of(agent_name: str, limits: Mapping[str, AgentLimits], now: datetime) -> str | None:
    """Return the agent to ask in place of one that is out of service: the first of its chain that is in service.

    None if the chain ends before, or comes back to an agent that it has passed.
    """
    passed = {agent_name}
    while (limit := limits.get(agent_name)) is not None and limit.is_out_of_service(now):
        following = limit.substitute_agent_name
        if following is None or following in passed or len(passed) > MAX_SUBSTITUTES:
            return None
        passed.add(following)
        agent_name = following
    return agent_name if len(passed) > 1 else None


def read_number(stored: float | str | None) -> int | None:
    """Return a limit in its database form as it is applied; SQLite may hold a fraction, which is cut off."""
    return None if stored is None else int(float(stored))


def read_end(stored: str | None) -> datetime | None:
    """Return `out_of_service_until` from its text in the database; None if that is no time, as SQLite may hold."""
    with suppress(ValueError, TypeError):
        return None if stored is None else FOREVER if stored == "infinity" else parse_instant(stored)
    return None
