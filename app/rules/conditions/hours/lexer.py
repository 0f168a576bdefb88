"""Tokens of an opening-hours value, each with its position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.rules.conditions.hours.selectors import MONTHS, WEEKDAYS
from app.translation import translatable


class Kind(StrEnum):
    """Kinds of tokens; the value is how messages call them."""

    TIME = "time"
    NUMBER = "number"
    YEAR = "year"
    WEEKDAY = "weekday"
    MONTH = "month"
    PH = "PH"
    SH = "SH"
    EASTER = "easter"
    WEEK = "week"
    DAYS = "day"
    STATE = "state"
    COMMENT = "comment"
    ALWAYS = "24/7"
    SUN = "sun"
    FALLBACK = "||"
    SYMBOL = "symbol"
    OTHER = "other"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `text` as written, `number` its value where it has one, `at` its index in the value."""

    kind: Kind
    text: str
    at: int
    number: int = 0


class HoursError(ValueError):
    """A value that cannot be used: what is wrong with it and where.

    `is_syntax` is False where the value is valid OpenStreetMap syntax that a routing rule cannot follow. `spelling` is
    a value, or a part of one, that is accepted.
    """

    def __init__(self, message: str, at: int, *, is_syntax: bool = True, spelling: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.is_syntax = is_syntax
        self.spelling = spelling


_WORDS: Final = {
    **{name.casefold(): (Kind.WEEKDAY, number) for number, name in enumerate(WEEKDAYS)},
    **{name.casefold(): (Kind.MONTH, number) for number, name in enumerate(MONTHS, start=1)},
    **dict.fromkeys(("open", "closed", "off", "unknown"), (Kind.STATE, 0)),
    **dict.fromkeys(("dawn", "sunrise", "sunset", "dusk"), (Kind.SUN, 0)),
    **dict.fromkeys(("day", "days"), (Kind.DAYS, 0)),
    "ph": (Kind.PH, 0),
    "sh": (Kind.SH, 0),
    "easter": (Kind.EASTER, 0),
    "week": (Kind.WEEK, 0),
}
_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<always>(?<!-)(?<!-\s)24/7(?![0-9]))  # after a dash a day or a week, and a step: Dec 1-24/7
    | (?P<time>(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?![0-9]))
    | (?P<number>[0-9]+)
    | (?P<word>[^\W\d_]+)
    | (?P<comment>"[^"]*")
    | (?P<fallback>\|\|)
    | (?P<symbol>[,;:+/()\[\]-])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LAST_HOUR: Final = 48
_FIRST_YEAR: Final = 1900
_LONGEST_NUMBER: Final = 4


def tokenize(value: str) -> list[Token]:
    """Return the tokens of `value`, ended by one of kind END. Raises HoursError for an impossible number or time."""
    tokens = [_token(found) for found in _TOKEN.finditer(value) if found.lastgroup != "space"]
    return [*tokens, Token(Kind.END, "", len(value))]


def _token(found: re.Match[str]) -> Token:
    text, at = found[0], found.start()
    if found["time"]:
        return Token(Kind.TIME, text, at, _minutes(found))
    if found["number"]:
        if len(text) > _LONGEST_NUMBER:
            raise HoursError(
                translatable("%(text)s is no time, day or year; times are written 09:00", text=text[:20]), at
            )
        number = int(text)
        return Token(Kind.YEAR if len(text) == 4 and number >= _FIRST_YEAR else Kind.NUMBER, text, at, number)
    if found["word"]:
        kind, number = _WORDS.get(text.casefold(), (Kind.OTHER, 0))
        return Token(kind, text, at, number)
    if found["comment"]:
        return Token(Kind.COMMENT, text[1:-1], at)
    if found["always"]:
        return Token(Kind.ALWAYS, text, at)
    if found["fallback"]:
        return Token(Kind.FALLBACK, text, at)
    return Token(Kind.SYMBOL if found["symbol"] else Kind.OTHER, text, at)


def _minutes(found: re.Match[str]) -> int:
    hour, minute = int(found["hour"]), int(found["minute"])
    if minute > 59:
        raise HoursError(translatable("an hour has the minutes 00 to 59"), found.start())
    if hour * 60 + minute > _LAST_HOUR * 60:
        message = translatable("hours go to 24:00, and to 48:00 at the end of a span that goes into the next day")
        raise HoursError(message, found.start())
    return hour * 60 + minute
