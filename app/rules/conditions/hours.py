"""When a rule is in force: OpenStreetMap's opening-hours syntax, in one time zone, with one country's public holidays.

The wall clock of the zone decides, so a change to or from daylight-saving time needs nothing special: the hour that
is skipped in spring never comes, the hour that is repeated in autumn is judged the same twice. An expression that says
`unknown` is not open. Syntax: https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification
"""

from __future__ import annotations

import re
from datetime import datetime
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import product
from string import ascii_uppercase
from zoneinfo import ZoneInfo, available_timezones

from opening_hours import (  # type: ignore[attr-defined] # its stubs leave the two errors out
    OpeningHours,
    ParserError,
    UnknownCountryError,
)

from app.errors import InvalidInputError, Problem

LONGEST_EXPRESSION = 1000
"""Characters. An expression of this length costs at most about a millisecond to parse and 0.1 ms to ask (measured)."""

_MEANT_COUNTRIES = {"UK": "GB", "EN": "GB", "EL": "GR", "USA": "US", "GBR": "GB", "DEU": "DE", "ESP": "ES", "FRA": "FR"}
_COMMENT = re.compile(r'"[^"]*"')
_SUN = re.compile(r"\b(dawn|sunrise|sunset|dusk)\b")
_HOLIDAY = re.compile(r"\bPH\b")
_SCHOOL_HOLIDAY = re.compile(r"\bSH\b")
_IMPOSSIBLE_DAY = re.compile(r"\b(Feb 3[01]|(?:Apr|Jun|Sep|Nov) 31)\b")
_CARET = re.compile(r"--> (\d+):(\d+)")
_SLIPS = (
    (re.compile(r"[–—−]"), "-"),
    (re.compile(r"(?<=\d)[.h](?=\d\d\b)"), ":"),
    (re.compile(r"\s*-\s*(?=[A-Z0-9])"), "-"),
    (re.compile(r"[;,\s]+$"), ""),
    (re.compile(r"(?<![\d:])(\d{1,2})\s*-\s*(\d{1,2})(?![\d:])"), r"\1:00-\2:00"),
)


class ActiveHours:
    """The hours of one rule, parsed once; asking again within one minute of the wall clock costs next to nothing."""

    __slots__ = ("_hours", "_latest", "_zone")

    def __init__(self, hours: OpeningHours, zone: ZoneInfo) -> None:
        self._hours = hours
        self._zone = zone
        # Minute since 1970 and its answer in one tuple, replaced whole: threads may ask the same object.
        self._latest: tuple[float, bool] = (-1.0, False)

    def covers(self, instant: datetime) -> bool:
        """Tell whether the rule is in force at `instant`, which must be timezone-aware."""
        if instant.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        minute = instant.timestamp() // 60
        asked, answer = self._latest
        if asked != minute:
            wall_clock = instant.astimezone(self._zone).replace(tzinfo=None, fold=0)
            answer = self._hours.is_open(wall_clock)
            self._latest = (minute, answer)
        return answer

    def __str__(self) -> str:
        return f"{self._hours} ({self._zone.key})"


@lru_cache(maxsize=4096)
def parse_hours(expression: str, timezone: str, holidays: str | None) -> ActiveHours:
    """Return the hours that `expression` means in `timezone`, with the public holidays of country `holidays`.

    Raises InvalidInputError with every problem; paths are the columns `active_hours`, `timezone`, `holidays`.
    """
    problems = check_timezone(timezone) + check_holidays(holidays)
    hours, found = _read(expression, None if problems else holidays)
    problems += found
    if hours is None or problems:
        raise InvalidInputError("these hours cannot be used", problems)
    return ActiveHours(hours, ZoneInfo(timezone))


def check_hours(expression: str, holidays: str | None) -> list[Problem]:
    """Return what is wrong with `expression`, given whether a country is named in `holidays`."""
    return _read(expression, holidays, with_country=False)[1]


def check_timezone(timezone: str) -> list[Problem]:
    """Return what is wrong with the name of an IANA time zone."""
    zones = _zones()
    if timezone in zones:
        return []
    return [
        Problem(
            "timezone",
            "is no IANA time zone; write one such as UTC or Europe/Madrid",
            found=timezone,
            suggestion=_nearest_zone(timezone[:100]),
        )
    ]


def check_holidays(holidays: str | None) -> list[Problem]:
    """Return what is wrong with the code of a country; None means no public holidays."""
    if holidays is None or holidays in known_countries():
        return []
    code = holidays.strip().upper()
    code = _MEANT_COUNTRIES.get(code, code)
    message = "is no country whose public holidays are known; write its ISO 3166 code, such as ES or GB"
    if code[:2] in known_countries() and code[2:3] in {"-", "_"}:
        message = "names a region; only the holidays of whole countries are known"
        code = code[:2]
    suggestion = code if code in known_countries() else None
    return [Problem("holidays", message, found=holidays, suggestion=suggestion)]


@cache
def known_countries() -> frozenset[str]:
    """Return the codes of all countries whose public holidays the library ships (2000 to about 2080)."""
    return frozenset(code for code in map("".join, product(ascii_uppercase, repeat=2)) if _is_country(code))


def _is_country(code: str) -> bool:
    try:
        OpeningHours("24/7", country=code, auto_country=False, auto_timezone=False)
    except UnknownCountryError:
        return False
    return True


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _nearest_zone(timezone: str) -> str | None:
    by_fold = {zone.casefold(): zone for zone in sorted(_zones())}
    wanted = timezone.strip().replace(" ", "_").replace("\\", "/").casefold()
    if wanted in by_fold:
        return by_fold[wanted]
    # "Madrid" alone means Europe/Madrid.
    cities = {
        fold.rsplit("/", 1)[-1]: zone for fold, zone in by_fold.items() if "/" in fold and not fold.startswith("etc/")
    }
    city = wanted.rsplit("/", 1)[-1]
    if city in cities:
        return cities[city]
    near = get_close_matches(wanted, by_fold, n=1, cutoff=0.75)
    if near:
        return by_fold[near[0]]
    near = get_close_matches(city, cities, n=1, cutoff=0.75)
    return cities[near[0]] if near else None


def _read(
    expression: str, holidays: str | None, *, with_country: bool = True
) -> tuple[OpeningHours | None, list[Problem]]:
    if len(expression) > LONGEST_EXPRESSION:
        message = f"at most {LONGEST_EXPRESSION} characters are allowed, found {len(expression)}"
        return None, [Problem("active_hours", message, found=expression[:40] + "…")]
    country = holidays if with_country else None
    try:
        hours = _parse(expression, country)
    except ParserError as error:
        return None, [_syntax_problem(expression, str(error))]
    return hours, _meaning_problems(expression, str(hours), holidays)


def _parse(expression: str, country: str | None) -> OpeningHours:
    # Nothing is guessed from a place, and `next_change` is never asked: it can search 8,000 years (0.6 s measured).
    return OpeningHours(expression, country=country, auto_country=False, auto_timezone=False)


def _syntax_problem(expression: str, error: str) -> Problem:
    caret = _CARET.search(error)
    column = int(caret[2]) if caret else 1
    rest = expression[column - 1 :].strip()[:20]
    place = f"at character {column} ({rest!r})" if rest else "at its end"
    message = f"is not in OpenStreetMap's opening-hours syntax {place}; write for example Mo-Fr 09:00-18:00; PH off"
    return Problem("active_hours", message, found=expression, suggestion=_mend(expression))


def _mend(expression: str) -> str | None:
    """Return the expression with common slips put right, if that makes it valid."""
    mended = expression.strip()
    for slip, right in _SLIPS:
        mended = slip.sub(right, mended)
        try:
            return str(_parse(mended, None))
        except ParserError:
            continue
    return None


def _meaning_problems(expression: str, normal: str, holidays: str | None) -> list[Problem]:
    """Return what parses but would not mean what its writer thinks."""
    spoken = _COMMENT.sub("", normal)
    problems = []
    if sun := _SUN.search(spoken):
        message = f"{sun[0]} needs a place on earth, which a rule does not have; write times of day"
        problems.append(Problem("active_hours", message, found=expression))
    if _SCHOOL_HOLIDAY.search(spoken):
        message = "SH (school holidays) are not known for any country; write the dates"
        problems.append(Problem("active_hours", message, found=expression))
    if impossible := _IMPOSSIBLE_DAY.search(spoken):
        # The library would take `Feb 30` for every day of the year.
        message = f"{impossible[0]} does not exist in any year"
        problems.append(Problem("active_hours", message, found=expression))
    if holidays is None and _HOLIDAY.search(spoken):
        message = "is needed because active_hours speaks of PH (public holidays); write a country code, such as ES"
        problems.append(Problem("holidays", message))
    return problems
