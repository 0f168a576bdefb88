"""Reads which calls to list from an address: the fields of the page Calls, which saved views store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.audit.call_lists.call_filter import CallFilter
from app.audit.calls.call_head import CallDirection, CallOutcome, CallState
from app.errors import Problem, nearest
from app.strict_json import UNSTORABLE_MESSAGE, is_storable
from app.translation import translatable

MAX_SEARCH: Final = 200
"""Characters of a text to find calls by."""
RANGES: Final = ("hour", "today", "yesterday")
FILTER_FIELDS: Final = ("q", "search", "state", "outcome", "agent", "rule", "direction", "project", "metadata")
FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Of the times that lists can be limited to."""
TIME_FIELDS: Final = ("range", "since", "until", "from", "to")
_ZONE_FIELDS: Final = ("tz", "zone")
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "state": tuple(map(str, CallState)),
    "outcome": tuple(map(str, CallOutcome)),
    "direction": tuple(map(str, CallDirection)),
    "range": RANGES,
}


@dataclass(frozen=True, slots=True)
class CallQuery:
    """What an address asks for: `given` has the fields that are set and valid, `problems` those that are not."""

    given: Mapping[str, str]
    chosen: CallFilter
    problems: tuple[Problem, ...]

    @property
    def saved(self) -> str:
        """The filters as a view stores them: exact times in place of local ones, and no time zone of the viewer."""
        fields = {name: self.given[name] for name in FILTER_FIELDS if name in self.given}
        if "range" in self.given:
            fields["range"] = self.given["range"]
        else:
            times = {"since": self.chosen.since, "until": self.chosen.until}
            fields |= {name: _as_text(instant) for name, instant in times.items() if instant is not None}
        return urlencode(fields)


def read_call_query(fields: Mapping[str, str], now: datetime, projects: tuple[str, ...] | None = None) -> CallQuery:
    """Return the filters in the fields of an address; what cannot be read does not filter, and is a problem.

    `tz` and `zone` are the viewer's time zone, and its offset to UTC in minutes as JavaScript counts it.
    """
    given = {name: fields.get(name, "").strip() for name in (*FILTER_FIELDS, *TIME_FIELDS, *_ZONE_FIELDS)}
    given["q"] = given["q"][:MAX_SEARCH]
    problems: list[Problem] = []
    for name in FILTER_FIELDS:
        if not is_storable(given[name]):
            problems.append(Problem(name, UNSTORABLE_MESSAGE))
            given[name] = ""
    for name, known in _KNOWN.items():
        if given[name] and given[name] not in known:
            problems.append(
                Problem(
                    name,
                    translatable("must be %(names)s", names=", ".join(known)),
                    given[name],
                    nearest(given[name], known),
                )
            )
            given[name] = ""
    zone = _zone(given["tz"], given["zone"])
    times = {name: _time(name, given, zone, problems) for name in ("since", "until", "from", "to")}
    metadata = _metadata(given, problems)
    since, until = _period(given["range"], zone, now) if given["range"] else (
        times["since"] or times["from"], times["until"] or times["to"]
    )  # fmt: skip
    chosen = CallFilter(
        project=given["project"] or None,
        projects=projects,
        states=frozenset({CallState(given["state"])}) if given["state"] else frozenset(),
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
    if not (given["range"] or given["from"] or given["to"]):
        given |= dict.fromkeys(_ZONE_FIELDS, "")
    return CallQuery({name: value for name, value in given.items() if value}, chosen, tuple(problems))


def read_saved_query(text: str, now: datetime) -> CallQuery:
    """Return the filters of a stored view; fields that are no filters any more are problems, too."""
    fields = dict(parse_qsl(text))
    query = read_call_query(fields, now)
    unknown = unknown_fields(fields)
    return CallQuery(query.given, query.chosen, (*unknown, *query.problems))


def unknown_fields(fields: Iterable[str]) -> tuple[Problem, ...]:
    """Return a problem for each name that no filter has."""
    known = (*FILTER_FIELDS, *TIME_FIELDS)
    return tuple(
        Problem(name, translatable("is no filter of calls"), None, nearest(name, known))
        for name in fields
        if name not in known and name not in _ZONE_FIELDS
    )


def metadata_fields(given: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the fields and values of texts such as `language=es`; others are left out."""
    parts = (one.partition("=") for one in given)
    return tuple((name.strip(), value.strip()) for name, mark, value in parts if mark and name.strip())


def _metadata(given: dict[str, str], problems: list[Problem]) -> tuple[tuple[str, str], ...]:
    parts = [part for part in given["metadata"].split(",") if part.strip()]
    found = metadata_fields(parts)
    if len(found) < len(parts):
        problems.append(
            Problem("metadata", translatable("must be FIELD=VALUE, such as language=es"), given["metadata"])
        )
    given["metadata"] = ", ".join(map("=".join, found))
    return found


def _zone(name: str, offset: str) -> tzinfo:
    """Return the viewer's time zone; UTC without one."""
    try:
        if name:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    minutes = int(offset) if offset.removeprefix("-").isdecimal() and len(offset) <= 5 else 0
    return timezone(timedelta(minutes=-minutes)) if abs(minutes) < 1440 else UTC


def _period(wanted: str, zone: tzinfo, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the instants between which the calls of a range began."""
    if wanted == "hour":
        return now - timedelta(hours=1), None
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if wanted == "today":
        return midnight.astimezone(UTC), None
    before = (midnight.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=zone)
    return before.astimezone(UTC), midnight.astimezone(UTC)


def _time(name: str, given: dict[str, str], zone: tzinfo, problems: list[Problem]) -> datetime | None:
    """Return the instant of a field: `since` and `until` have a zone, `from` and `to` are local times of a form."""
    text = given[name]
    if not text:
        return None
    is_exact = name in {"since", "until"}
    try:
        instant = datetime.fromisoformat(text)
        if FIRST_YEAR <= instant.year <= LAST_YEAR:
            if not is_exact:
                return instant.replace(tzinfo=zone).astimezone(UTC)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    example = "2026-11-02T14:00:00Z" if is_exact else "2026-11-02T14:00"
    problems.append(Problem(name, translatable("must be a time such as %(example)s", example=example), text))
    given[name] = ""
    return None


def _as_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
