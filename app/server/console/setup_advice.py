"""The next steps of the set-up, and the state of the parts that Usher needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from app.audit import SweepHeartbeat, latest_sources
from app.rules.book.rule_book import RuleBook
from app.server.documentation.links import docs_url
from app.server.health import DatabaseHealth, Health
from app.translation import gettext, ngettext

_SILENT_SWEEP: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that is missing. `level` is `step` (of the first set-up) or `warning`."""

    level: str
    title: str
    text: str
    link: str = ""
    link_text: str = ""
    code: str = ""
    help_url: str = ""
    """The documentation about it."""


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """The state of the database, the rules, or one LiveKit project."""

    name: str
    good: bool
    text: str
    at: datetime | None = None


def setup_advice(connection: Connection, book: RuleBook, webhook_url: str) -> list[Advice]:
    """Return the next steps of the set-up; what goes wrong later is an incident."""
    found: list[Advice] = []
    if not latest_sources(connection, 1):
        text = gettext("No event has arrived yet. Set this address as the webhook URL in LiveKit:")
        help_url = docs_url("quickstart", "1-livekit-sending-webhooks")
        found.append(Advice("step", gettext("Set the webhook in LiveKit"), text, code=webhook_url, help_url=help_url))
    if not book.rules and not book.bad:
        text = gettext(
            "A rule says which callers get which agent. Without one, events are recorded and nothing is dispatched."
        )
        help_url = docs_url("quickstart", "3-the-first-rule")
        title, link_text = gettext("Create the first rule"), gettext("New rule")
        found.append(Advice("step", title, text, "/console/rules/new", link_text, help_url=help_url))
    if book.rules and not any(rule.enabled for rule in book.rules):
        text = gettext("Every rule is disabled, so no caller gets an agent.")
        found.append(
            Advice("warning", gettext("No rule is enabled"), text, "/console/rules", gettext("Show the rules"))
        )
    return found


def component_statuses(health: Health, now: datetime, *, sweeps: bool) -> list[ComponentStatus]:
    """Return the state of the database, the rules, and each LiveKit project; `sweeps`: whether these are swept."""
    is_up, book = health.is_ready, health.book
    rules = gettext("%(rules)s in use, version %(version)s", rules=len(book.rules), version=book.version)
    if book.bad:
        rules += "; " + gettext("%(rules)s cannot be used", rules=len(book.bad))
    found = [
        ComponentStatus(gettext("Database"), is_up, _database_text(health.database)),
        ComponentStatus(gettext("Rules"), not book.bad, rules),
    ]
    if not sweeps:
        text = gettext("is switched off (USHER_SWEEP_INTERVAL=0)")
        found.append(ComponentStatus(gettext("Sweep"), good=True, text=text))
    return found + [_project_status(sweep, now) for sweep in health.database.sweeps]


def _database_text(database: DatabaseHealth) -> str:
    match database.status:
        case "ok":
            return gettext("answers")
        case "unavailable":
            return gettext("does not answer")
        case _:
            return database.detail


def _project_status(sweep: SweepHeartbeat, now: datetime) -> ComponentStatus:
    name = "LiveKit" if sweep.project == "default" else f"LiveKit {sweep.project}"
    if error := sweep.detail.get("error"):
        return ComponentStatus(name, good=False, text=str(error), at=sweep.at)
    if now - sweep.at > _SILENT_SWEEP:
        minutes = int(_SILENT_SWEEP.total_seconds() / 60)
        text = gettext("has not been swept for over %(minutes)s minutes", minutes=minutes)
        return ComponentStatus(name, good=False, text=text, at=sweep.at)
    if sweep.missed_joins:
        text = ngettext("sent no webhook for %(num)s caller", "sent no webhook for %(num)s callers", sweep.missed_joins)
        return ComponentStatus(name, good=False, text=text, at=sweep.at)
    rooms = int(sweep.detail.get("rooms", 0))
    text = ngettext("answers; %(num)s room", "answers; %(num)s rooms", rooms)
    return ComponentStatus(name, good=True, text=text, at=sweep.at)
