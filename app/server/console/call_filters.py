"""The filters of the page Calls: what its address says, in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.audit import CallDirection, CallFilter, CallOutcome, CallState
from app.server.call_stream import MAX_SEARCH, metadata_fields
from app.server.console.framework import PageRequest

RANGES: Final = {"hour": "Last hour", "today": "Today", "yesterday": "Yesterday"}
OUTCOMES: Final = {
    CallOutcome.JOINED: "an agent joined",
    CallOutcome.NO_AGENT: "no agent joined",
    CallOutcome.ABANDONED: "left while waiting",
    CallOutcome.FALLBACK: "via fallback",
    CallOutcome.HANDED_OVER: "handed over",
    CallOutcome.LEFT_EARLY: "agent left too soon",
}
_FIELDS: Final = ("q", "search", "state", "outcome", "agent", "rule", "direction", "project", "metadata")
_TIMES: Final = ("range", "since", "until", "from", "to")


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that is set, and the address of the list without it."""

    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class CallFilters:
    """What a request asks of the page; `given` has the fields that are set, by their names in the address."""

    given: Mapping[str, str]
    chosen: CallFilter

    def address(self, path: str = "/console/calls", **changed: str) -> str:
        """Return the address of the list with these fields changed; an empty one is left out."""
        fields = {name: value for name, value in {**self.given, **changed}.items() if value}
        return f"{path}?{urlencode(fields)}" if fields else path

    @property
    def is_filtered(self) -> bool:
        return any(name in self.given for name in (*_FIELDS, *_TIMES))

    @property
    def has_more(self) -> bool:
        """Whether a filter is set that the page folds away."""
        return any(name in self.given for name in ("rule", "direction", "project", "metadata", "from", "to"))

    @property
    def chips(self) -> Sequence[Chip]:
        """The filters that are set, but for the text that was searched for."""
        found = []
        for name in (*_FIELDS[1:], *_TIMES):
            value = self.given.get(name, "")
            if value:
                found.append(Chip(_LABELS.get(name, name), _shown(name, value), self.address(**{name: ""})))
        return found


_LABELS: Final = {"search": "exactly", "since": "from", "until": "to", "range": "joined"}


def _shown(name: str, value: str) -> str:
    if name == "range":
        return RANGES[value].lower()
    if name == "outcome":
        return OUTCOMES[CallOutcome(value)]
    if name in {"from", "to", "since", "until"}:
        return value.replace("T", " ").removesuffix("Z")
    return value.replace("_", " ") if name == "state" else value


def read_filters(request: PageRequest) -> CallFilters:
    """Return the filters in the address of a request; values that no filter has are left out."""
    given = {name: request.field(name).strip() for name in (*_FIELDS, *_TIMES)}
    given["q"] = given["q"][:MAX_SEARCH]
    for name, known in (("state", CallState), ("outcome", CallOutcome), ("direction", CallDirection)):
        given[name] = given[name] if given[name] in set(known) else ""
    given["range"] = given["range"] if given["range"] in RANGES else ""
    metadata = metadata_fields(given["metadata"].split(","))
    given["metadata"] = ", ".join(map("=".join, metadata))
    zone = _zone(request)
    since, until = _period(given, zone, request.field("zone"), request.context.now)
    chosen = CallFilter(
        project=given["project"] or None,
        projects=request.signed_in.projects,
        states={CallState(given["state"])} if given["state"] else frozenset(),
        outcome=CallOutcome(given["outcome"]) if given["outcome"] else None,
        direction=CallDirection(given["direction"]) if given["direction"] else None,
        metadata=metadata,
        agent=given["agent"] or None,
        rule=given["rule"] or None,
        search=given["search"] or None,
        q=given["q"] or None,
        since=since,
        until=until,
    )
    if given["range"] or given["from"] or given["to"]:
        given |= {"tz": request.field("tz"), "zone": request.field("zone")}
    return CallFilters({name: value for name, value in given.items() if value}, chosen)


def _zone(request: PageRequest) -> tzinfo | None:
    """Return the viewer's time zone, which the script names; None without one."""
    name = request.field("tz")
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _period(
    given: Mapping[str, str], zone: tzinfo | None, offset: str, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Return the instants between which the calls began."""
    local = zone or _fixed(offset)
    midnight = now.astimezone(local).replace(hour=0, minute=0, second=0, microsecond=0)
    match given["range"]:
        case "hour":
            return now - timedelta(hours=1), None
        case "today":
            return midnight.astimezone(UTC), None
        case "yesterday":
            before = (midnight.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=local)
            return before.astimezone(UTC), midnight.astimezone(UTC)
    return (
        _exact(given["since"]) or _local(given["from"], local),
        _exact(given["until"]) or _local(given["to"], local),
    )


def _fixed(offset: str) -> tzinfo:
    """Return the time zone of the browser's offset to UTC in minutes; UTC without one."""
    minutes = int(offset) if offset.lstrip("-").isdecimal() and len(offset) <= 5 else 0
    return timezone(timedelta(minutes=-minutes)) if abs(minutes) < 1440 else UTC


def _local(text: str, zone: tzinfo) -> datetime | None:
    """Return the instant of a local time in a form."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _exact(text: str) -> datetime | None:
    """Return the instant of a time with a zone, as links have it."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None
