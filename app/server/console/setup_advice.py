"""What is set up wrongly, as far as the database shows, and what to do about it; at first, the next step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection

from app.audit import SweepHeartbeat, absent_agents, latest_probes, latest_sources
from app.db.types import EventSource
from app.rules.book.rule_book import RuleBook
from app.server.health import DatabaseHealth, Health

_LATEST_EVENTS: Final = 200
_RECENT_PROBE: Final = timedelta(hours=24)
_SILENT_SWEEP: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that is wrong or missing. `level` is `step` (of the first set-up), `warning` or `error`."""

    level: str
    title: str
    text: str
    link: str = ""
    link_text: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """The state of the database, the rules, or one LiveKit project."""

    name: str
    good: bool
    text: str
    at: datetime | None = None


def setup_advice(connection: Connection, book: RuleBook, webhook_url: str, now: datetime) -> list[Advice]:
    """Return what needs attention, the most pressing first."""
    latest = latest_sources(connection, _LATEST_EVENTS)
    found: list[Advice] = []
    if EventSource.WEBHOOK not in latest:
        found.append(_no_webhooks(bool(latest), webhook_url))
    if not book.rules and not book.bad:
        text = "A rule says which callers get which agent. Without one, events are recorded and nothing is dispatched."
        found.append(Advice("step", "Create the first rule", text, "/console/rules/new", "New rule"))
    if book.bad:
        first = next(iter(book.bad.values()))
        more = f" and {len(book.bad) - 1} more" if len(book.bad) > 1 else ""
        text = f"{first.name!r}{more} cannot be used and is skipped: {first.problems[0] if first.problems else ''}"
        found.append(Advice("error", "A rule is broken", text, "/console/rules", "Show the rules"))
    if book.rules and not any(rule.enabled for rule in book.rules):
        text = "Every rule is disabled, so no caller gets an agent."
        found.append(Advice("warning", "No rule is enabled", text, "/console/rules", "Show the rules"))
    found += _absent_agents(connection, book)
    found += _failed_probes(connection, now)
    return found


def _no_webhooks(has_events: bool, webhook_url: str) -> Advice:
    if has_events:
        title = "LiveKit's webhooks do not reach Usher"
        text = (
            "All recent joins were found by the sweep, so callers waited for up to its interval. Set this address as "
            "the webhook URL in LiveKit, with the API key that Usher uses:"
        )
        return Advice("error", title, text, code=webhook_url)
    title, text = (
        "Set the webhook in LiveKit",
        "No event has arrived yet. Set this address as the webhook URL in LiveKit:",
    )
    return Advice("step", title, text, code=webhook_url)


def _absent_agents(connection: Connection, book: RuleBook) -> list[Advice]:
    wanted = list(dict.fromkeys(rule.agent_name for rule in book.rules if rule.enabled and rule.agent_name))[:50]
    found = []
    for name, missed in absent_agents(connection, wanted).items():
        times = "once" if missed == 1 else f"{missed} times"
        text = (
            f"It was dispatched {times} recently and did not join. Is a worker running whose agent_name is exactly "
            f"{name!r}, connected to the same LiveKit project?"
        )
        link = f"/console/agents/{quote(name)}"
        found.append(Advice("error", f"The agent {name!r} has never joined", text, link, "Show the agent"))
    return found


def _failed_probes(connection: Connection, now: datetime) -> list[Advice]:
    found = []
    for name, probe in latest_probes(connection).items():
        if not probe.arrived and now - probe.started_at < _RECENT_PROBE:
            text = f"The probe dispatched it into a room of its own: {probe.detail or 'no agent joined'}."
            title = f"The agent {name!r} did not join its latest probe"
            found.append(Advice("error", title, text, f"/console/agents/{quote(name)}", "Show its probes"))
    return found


def component_statuses(health: Health, now: datetime, *, sweeps: bool) -> list[ComponentStatus]:
    """Return the state of the database, the rules, and each LiveKit project; `sweeps`: whether these are swept."""
    is_up, book = health.is_ready, health.book
    rules = f"{len(book.rules)} in use, version {book.version}"
    if book.bad:
        rules += f"; {len(book.bad)} cannot be used"
    found = [
        ComponentStatus("Database", is_up, _database_text(health.database)),
        ComponentStatus("Rules", not book.bad, rules),
    ]
    if not sweeps:
        found.append(ComponentStatus("Sweep", good=True, text="is switched off (USHER_SWEEP_INTERVAL=0)"))
    return found + [_project_status(sweep, now) for sweep in health.database.sweeps]


def _database_text(database: DatabaseHealth) -> str:
    match database.status:
        case "ok":
            return "answers"
        case "unavailable":
            return "does not answer"
        case _:
            return database.detail


def _project_status(sweep: SweepHeartbeat, now: datetime) -> ComponentStatus:
    name = "LiveKit" if sweep.project == "default" else f"LiveKit {sweep.project}"
    if error := sweep.detail.get("error"):
        return ComponentStatus(name, good=False, text=str(error), at=sweep.at)
    if now - sweep.at > _SILENT_SWEEP:
        minutes = int(_SILENT_SWEEP.total_seconds() / 60)
        return ComponentStatus(name, good=False, text=f"has not been swept for over {minutes} minutes", at=sweep.at)
    if sweep.missed_joins:
        callers = "1 caller" if sweep.missed_joins == 1 else f"{sweep.missed_joins} callers"
        return ComponentStatus(name, good=False, text=f"sent no webhook for {callers}", at=sweep.at)
    rooms = sweep.detail.get("rooms", 0)
    return ComponentStatus(name, good=True, text=f"answers; {rooms} room{'' if rooms == 1 else 's'}", at=sweep.at)
