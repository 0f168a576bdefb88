"""A spelling that is accepted, for a value that is not: what editors and people commonly write otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from app.rules.conditions.hours.lexer import HoursError
from app.rules.conditions.hours.parser import parse
from app.rules.conditions.hours.selectors import MONTHS

_DAY_NAMES: Final = {
    "Mo": "mon|mons|mondays?",
    "Tu": "tue|tues|tuesdays?",
    "We": "wed|weds|wednesdays?",
    "Th": "thu|thur|thurs|thursdays?",
    "Fr": "fri|fris|fridays?",
    "Sa": "sat|sats|saturdays?",
    "Su": "sun|suns|sundays?",
    "Mo-Fr": "weekdays?|workdays?|business days",
    "Sa,Su": "weekends?",
    "Mo-Su": "daily|every ?day|all days|7 days a week",
    "PH": "(?:public |bank )?holidays?",
}
_MONTH_NAMES: Final = {
    "Jan": "january",
    "Feb": "february",
    "Mar": "march",
    "Apr": "april",
    "Jun": "june",
    "Jul": "july",
    "Aug": "august",
    "Sep": "sept|september",
    "Oct": "october",
    "Nov": "november",
    "Dec": "december",
}
_NOT_DATES: Final = "".join(f"(?<!{month} )" for month in MONTHS) + "(?<!week )"
_TIME_LIST: Final = r"\d\d?:\d\d-\d\d?:\d\d(?:,\d\d?:\d\d-\d\d?:\d\d)*"

Correction = Callable[[str], str]


def suggest(value: str) -> str | None:
    """Return `value` with common slips put right, in its usual spelling; None when that does not make it valid."""
    text = value.strip()
    for correct in _CORRECTIONS:
        text = correct(text)
        try:
            return str(parse(text))
        except HoursError:
            continue
    return None


def _replace(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Correction:
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)
    return lambda text: compiled.sub(replacement, text)


def _to_24_hours(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), found[2] or "00"
    if not 1 <= hour <= 12:
        return found[0]
    hour = hour % 12 + 12 * (found[3].lower() == "p")
    return f"{hour:02}:{minute}"


def _with_minutes(found: re.Match[str]) -> str:
    return f"{int(found[1]):02}:00-{int(found[2]):02}:00"


def _holidays_last(found: re.Match[str]) -> str:
    return f"{found[2]},{found[1].rstrip(', ')}"


_CORRECTIONS: Final[tuple[Correction, ...]] = (
    _replace(r"[\u2010-\u2015\u2212~\u2192]", "-"),
    _replace("[\u201c\u201d\u201e\u00ab\u00bb]", '"'),
    _replace(r"(?<=\d)\s*(?:to|until|till|through|bis)\s*(?=\d)|(?<=[a-z])\s+(?:to|through|bis)\s+(?=[a-z])", "-"),
    _replace(r"[,;]?\s+(?:and|und|&)\s+", ","),
    _replace(r"(?<=\d)[.h](?=\d\d\b)", ":"),
    _replace(r"(?<![\d:])(\d\d?)(?::(\d\d))?\s*([ap])\.?m\b\.?", _to_24_hours),
    _replace(
        r"(?<![\d:])(?!(?:19|20)\d\d\s*-\s*20\d\d)([01]\d|2[0-4])([0-5]\d)\s*-\s*([01]\d|2[0-4])([0-5]\d)(?![\d:])",
        r"\1:\2-\3:\4",
    ),
    *(_replace(rf"\b(?:{names})\b\.?", code) for code, names in _DAY_NAMES.items()),
    *(_replace(rf"\b(?:{names})\b\.?", code) for code, names in _MONTH_NAMES.items()),
    _replace(r"^(?:always(?: open)?|non-?stop|24x7|24 ?h(?:ours|rs)?(?: a day)?|any ?time)$", "24/7"),
    _replace(r"\b(?:24/7|24 ?h(?:ours|rs)?|all day)$", "00:00-24:00"),
    _replace(r"\bgeschlossen\b|\bcerrado\b|\bferm\u00e9\b", "off"),
    _replace(r"\b(?:from|at|h|hrs|hours|uhr)\b", ""),
    _replace(r"(?<=[a-z\]]),\s*(?=\d\d?:\d\d)", " "),
    _replace(rf"^({_TIME_LIST})\s*,?\s+([A-Z][A-Za-z,\s\[\]0-9-]*)$", r"\2 \1"),
    _replace(r"(?<=:\d\d)\s+(?=\d\d?:\d\d)", ","),
    _replace(r"(?<=:\d\d)\s+(?=[A-Z])(?!open|off|closed|unknown)", "; "),
    _replace(rf"{_NOT_DATES}(?<![\d:])(\d\d?)\s*-\s*(\d\d?)(?![\d:])", _with_minutes),
    _replace(r"\b((?:PH(?: ?[+-] ?\d+ ?days?)?,\s*)+)([A-Z]{2}(?:[-,]\s*[A-Z]{2})*)", _holidays_last),
    _replace(r"\b00:00\+", "00:00-24:00"),
    _replace(r"[;,\s]+$", ""),
    _replace(r"(?<=:\d\d)/\d\d?(?::\d\d)?$", ""),
)
