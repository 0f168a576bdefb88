"""What is set wrongly, as far as the database tells, and what to do about it; for newcomers, the next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection

from app.audit import SweepHeartbeat, absent_agents, latest_probes, latest_sources
from app.db.types import EventSource
from app.rules.book.rule_book import RuleBook

_LATEST: Final = 200
_RECENT_PROBE: Final = timedelta(hours=24)
_SILENT_SWEEP: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that is wrong or missing. `level` is `step` (for newcomers), `warning` or `error`."""

    level: str
    title: str
    text: str
    link: str = ""
    link_text: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """How the parts are that a desk lives from."""

    name: str
    good: bool
    text: str
    at: datetime | None = None


def setup_advice(connection: Connection, book: RuleBook, webhook_url: str, now: datetime) -> list[Advice]:
    """Return what should be seen to, the most pressing first."""
    latest = latest_sources(connection, _LATEST)
    found: list[Advice] = []
    if EventSource.WEBHOOK not in latest:
        found.append(_no_webhooks(bool(latest), webhook_url))
    if not book.rules and not book.bad:
        text = "A rule says which callers get which agent. Without one, callers are only noted."
        found.append(Advice("step", "Make the first rule", text, "/console/rules/new", "New rule"))
    if book.bad:
        first = next(iter(book.bad.values()))
        more = f" and {len(book.bad) - 1} more" if len(book.bad) > 1 else ""
        text = f"{first.name!r}{more} cannot be used and is skipped: {first.problems[0] if first.problems else ''}"
        found.append(Advice("error", "A rule is broken", text, "/console/rules", "Look at the rules"))
    if book.rules and not any(rule.enabled for rule in book.rules):
        text = "Every rule is disabled, so nobody gets an agent."
        found.append(Advice("warning", "No rule is enabled", text, "/console/rules", "Look at the rules"))
    found += _agents_that_never_come(connection, book)
    found += _canaries_in_trouble(connection, now)
    return found


def _no_webhooks(has_events: bool, webhook_url: str) -> Advice:
    if has_events:
        title = "LiveKit's webhooks do not reach Usher"
        text = (
            "All of late was found by the sweep, which costs callers up to its interval. Set this address as webhook "
            "URL in LiveKit, with the API key that Usher knows:"
        )
        return Advice("error", title, text, code=webhook_url)
    title, text = "Set the webhook in LiveKit", "LiveKit has told nothing yet. Set this address as its webhook URL:"
    return Advice("step", title, text, code=webhook_url)


def _agents_that_never_come(connection: Connection, book: RuleBook) -> list[Advice]:
    wanted = list(dict.fromkeys(rule.agent_name for rule in book.rules if rule.enabled))[:50]
    found = []
    for name, missed in absent_agents(connection, wanted).items():
        times = "once" if missed == 1 else f"{missed} times of late"
        text = (
            f"It was asked for in vain {times}. Is a worker running whose agent_name is exactly {name!r}, "
            "connected to the same LiveKit project?"
        )
        link = f"/console/agents/{quote(name)}"
        found.append(Advice("error", f"The agent {name!r} has never come", text, link, "Its dispatches"))
    return found


def _canaries_in_trouble(connection: Connection, now: datetime) -> list[Advice]:
    found = []
    for name, probe in latest_probes(connection).items():
        if not probe.arrived and now - probe.started_at < _RECENT_PROBE:
            text = f"A dispatch into a throw-away room was in vain: {probe.detail or 'no agent came'}."
            title = f"The agent {name!r} did not come to its latest probe"
            found.append(Advice("error", title, text, f"/console/agents/{quote(name)}", "Its probes"))
    return found


def component_statuses(
    beats: Iterable[SweepHeartbeat], now: datetime, details: dict[str, Any], *, sweeps: bool
) -> list[ComponentStatus]:
    """Return how database, rules, LiveKit and the sweep are."""
    database = details["database"]
    found = [
        ComponentStatus(
            "Database", database["status"] == "ok", "answers" if database["status"] == "ok" else "in trouble"
        )
    ]
    rules, bad = details["rules"]["rules"], len(details["rules"]["bad"])
    text = f"{rules} in use, version {details['rules']['version']}"
    found.append(ComponentStatus("Rules", not bad, text if not bad else f"{text}; {bad} cannot be used"))
    if not sweeps:
        found.append(ComponentStatus("Sweep", good=True, text="is switched off (USHER_SWEEP_INTERVAL=0)"))
    for beat in beats:
        detail, at = beat.detail, beat.at
        part = "LiveKit" if beat.project == "default" else f"LiveKit {beat.project}"
        if detail.get("error"):
            found.append(ComponentStatus(part, good=False, text=str(detail["error"]), at=at))
        elif now - at > _SILENT_SWEEP:
            found.append(ComponentStatus(part, good=False, text="has not been swept for long", at=at))
        elif beat.missed_joins:
            found.append(ComponentStatus(part, good=False, text=f"never told of {beat.missed_joins} callers", at=at))
        else:
            found.append(ComponentStatus(part, good=True, text=f"answers; {detail.get('rooms', 0)} rooms", at=at))
    return found
