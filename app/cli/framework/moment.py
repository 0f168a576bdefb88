"""Times as users type and read them: `24h` ago, `yesterday 14:02`, a date; shown in the time zone of this machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from app.errors import InvalidInputError, Problem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d{1,6}(?:\.\d{1,3})?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_WORDS_AGO = re.compile(r"(\d{1,6}|an?|last) ?(second|minute|hour|day|week)s?( ago)?")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = re.compile(rf"(today|yesterday|{'|'.join(_DAYS)})(?: (?:at )?(.+))?")
ALLOWED = (
    "a time ago such as 90s, 15m, 24h, 7d, 1h30m or '2 hours ago', a time of today such as 14:02, "
    "today, yesterday, a weekday, 'yesterday 14:02', or 2026-11-22T14:02"
)

ALLOWED_AHEAD = "a duration such as 30m, 2h or 1d12h, a time such as 18:00, 'tomorrow 09:00', or 2026-11-27T09:00"


def parse_duration(text: str) -> timedelta | None:
    """Return the duration in a text such as `1h30m`; None if it is not a duration."""
    text = text.strip().lower()
    if not _DURATION.fullmatch(text):
        return None
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def _ago(text: str) -> timedelta | None:
    """Return the duration in a text such as `1h30m`, `2 hours ago` or `last week`; None if it names none."""
    words = _WORDS_AGO.fullmatch(text.lower())
    if words is None:
        return parse_duration(text)
    number, unit, ago = words.groups()
    if not ago and number != "last":
        return None  # `2 hours`: from now, or ago?
    return timedelta(seconds=(int(number) if number.isdigit() else 1) * _UNITS[unit[0]])


def _on_day(day: str, time_of_day: str | None, now: datetime) -> datetime:
    """Return midnight, or a time, of a day by name: a weekday is the latest one that has begun."""
    today = now.astimezone().replace(tzinfo=None)
    back = {"today": 0, "yesterday": 1}.get(day)
    if back is None:
        back = (today.weekday() - _DAYS.index(day)) % 7
    hour = minute = second = 0
    if time_of_day is not None:
        clock_time = _TIME_OF_DAY.fullmatch(time_of_day)
        if clock_time is None:
            raise ValueError(time_of_day)
        hour, minute, second = (int(part or 0) for part in clock_time.groups())
    date = (today - timedelta(days=back)).replace(hour=hour, minute=minute, second=second, microsecond=0)
    return date.astimezone(UTC)  # with the offset that holds on that day


def parse_moment(text: str, now: datetime, name: str) -> datetime:
    """Return the instant that `text` names, relative to `now`; without a zone, the zone of this machine is meant.

    Raises InvalidInputError that names the option `name`.
    """
    text = text.strip()
    try:
        if (ago := _ago(text)) is not None:
            return now - ago
        if text.lower() == "now":
            return now
        if named := _DAY.fullmatch(text.lower()):
            return _on_day(named[1], named[2], now)
        clock_time = _TIME_OF_DAY.fullmatch(text)
        if clock_time:
            hour, minute, second = (int(part or 0) for part in clock_time.groups())
            today = now.astimezone()
            instant = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
            # At 01:00, "23:50" means yesterday.
            return (instant if instant <= today else instant - timedelta(days=1)).astimezone(UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInputError("usage", [Problem(name, f"must be {ALLOWED}", text[:100])]) from error


def parse_ahead(text: str, now: datetime, name: str) -> datetime:
    """Return the instant that `text` names, which is to come: `2h` is in two hours, `18:00` the next one.

    Raises InvalidInputError that names the option `name`.
    """
    text = text.strip().lower()
    try:
        if (ahead := parse_duration(text.removeprefix("in ").replace(" ", ""))) is not None:
            return now + ahead
        today = now.astimezone()
        tomorrow = text.removeprefix("tomorrow").strip() if text.startswith("tomorrow") else None
        clock_time = _TIME_OF_DAY.fullmatch(text if tomorrow is None else tomorrow or "00:00")
        if clock_time:
            hour, minute, second = (int(part or 0) for part in clock_time.groups())
            instant = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
            is_next_day = tomorrow is not None or instant <= today
            return (instant + timedelta(days=is_next_day)).astimezone(UTC)
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInputError("usage", [Problem(name, f"must be {ALLOWED_AHEAD}", text[:100])]) from error


def zone_name(now: datetime) -> str:
    """Return the present name of the time zone of this machine."""
    return now.astimezone().strftime("%Z") or "local"


def show_moment(instant: datetime | None, *, milliseconds: bool = False) -> str:
    """Return an instant in the time zone of this machine; empty for None."""
    if instant is None:
        return ""
    text = instant.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")
    return text[:-3] if milliseconds else text[:-7]
