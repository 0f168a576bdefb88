"""The agents that the form of a rule offers, with when each last joined and how soon."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.audit import Figures, Seen, duration_text
from app.translation import gettext, number_text, translatable

HOURS: Final = 168
"""The figures are those of the last 7 days."""


@dataclass(frozen=True, slots=True)
class AgentChoice:
    """One agent that dispatches name; `joined_at` is None if it joined none of its latest."""

    name: str
    joined_at: datetime | None
    figures: Figures | None

    def note(self, now: datetime) -> str:
        """Return what is known of the agent in a few words."""
        if self.joined_at is None:
            return gettext("has not joined lately")
        p95 = self.figures.seconds_to_agent.p95 if self.figures else None
        joined = gettext("joined %(ago)s", ago=ago(now, self.joined_at))
        return joined if p95 is None else f"{joined} · {gettext('95 %% within %(time)s', time=duration_text(p95))}"


@dataclass(frozen=True, slots=True)
class AgentHint:
    """What the form says about the agent that is entered. `nearest` is a known name that may be meant.

    `probes` is the agent that the form offers to probe: one that has not joined lately, or never.
    """

    text: str
    is_warning: bool = False
    nearest: str = ""
    probes: str = ""


def agent_choices(
    seen: Sequence[Seen], joined: Mapping[str, datetime], figures: Mapping[str, Figures]
) -> list[AgentChoice]:
    """Return the agents to offer, those that joined last first."""
    choices = [AgentChoice(one.name, joined.get(one.name), figures.get(one.name)) for one in seen]
    return sorted(choices, key=lambda one: (one.joined_at is None, -(one.joined_at or _EPOCH).timestamp(), one.name))


def agent_hint(name: str, choices: Sequence[AgentChoice], now: datetime) -> AgentHint | None:
    """Return what is known about the agent of this name; None if none is entered."""
    name = name.strip()
    if not name:
        return None
    known = next((one for one in choices if one.name == name), None)
    if known is not None and known.joined_at is not None:
        return AgentHint(f"{known.note(now)[:1].upper()}{known.note(now)[1:]}.")
    others = [one.name for one in choices if one.joined_at is not None]
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.7)
    unheard_of = gettext("No agent of this name was ever dispatched.")
    text = gettext("It joined none of its latest dispatches.") if known else unheard_of
    return AgentHint(text, is_warning=bool(others), nearest=near[0] if near else "", probes=name)


def ago(now: datetime, then: datetime) -> str:
    """Return how long ago something was, in the largest unit."""
    seconds = max(0.0, (now - then).total_seconds())
    for text, size in (
        (translatable("%(num)s d ago"), 86_400),
        (translatable("%(num)s h ago"), 3_600),
        (translatable("%(num)s min ago"), 60),
    ):
        if seconds >= size:
            return gettext(text, num=number_text(seconds / size))
    return gettext("%(num)s s ago", num=number_text(seconds))


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
