"""The agents that a rule asks in turn when its own did not come: column `fallbacks`.

The column holds a list of agent names, or of objects that also say how long and how often each is asked, and with which
metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.db.rule_columns import MAX_FALLBACKS

ATTEMPTS: Final = 1
"""How often a fallback is asked that does not say it: the caller has waited for all attempts of the rule's agent."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """One agent of the list. `metadata_text` is its own template as JSON; None: as in the rule."""

    agent_name: str
    answer_timeout_s: int
    max_attempts: int
    metadata_text: str | None = None


def read_fallbacks(value: Any, answer_timeout_s: int) -> tuple[Fallback, ...]:
    """Return the fallbacks of a column that has been checked; `answer_timeout_s` is the rule's."""
    return tuple(_read(entry, answer_timeout_s) for entry in value or ())


def _read(entry: str | Mapping[str, Any], answer_timeout_s: int) -> Fallback:
    if isinstance(entry, str):
        return Fallback(entry, answer_timeout_s, ATTEMPTS)
    timeout, attempts = entry.get("answer_timeout_s"), entry.get("max_attempts")
    return Fallback(
        entry["agent_name"],
        answer_timeout_s if timeout is None else timeout,
        ATTEMPTS if attempts is None else attempts,
        None if entry.get("metadata") is None else json.dumps(entry["metadata"], ensure_ascii=False),
    )


def names_of_fallbacks(value: Any) -> list[str]:
    """Return the agents that the column names, as far as it can be read: plain SQL may have put anything into it."""
    names = [entry.get("agent_name") if isinstance(entry, Mapping) else entry for entry in _listed(value)]
    return [name for name in names if isinstance(name, str)]


def _listed(value: Any) -> list[Any]:
    return value[:MAX_FALLBACKS] if isinstance(value, list) else []
