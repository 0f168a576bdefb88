"""Times as users type and read them: `24h` ago, `14:02` today, a date; shown in the time zone of this machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from app.errors import InvalidInputError, Problem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d{1,6}(?:\.\d{1,3})?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
ALLOWED = "a time ago such as 90s, 15m, 24h, 7d or 1h30m, a time of today such as 14:02, or 2026-11-22T14:02"


def parse_duration(text: str) -> timedelta | None:
    """Return the duration in a text such as `1h30m`; None if it is not a duration."""
    text = text.strip().lower()
    if not _DURATION.fullmatch(text):
        return None
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def parse_moment(text: str, now: datetime, name: str) -> datetime:
    """Return the instant that `text` names, relative to `now`; without a zone, the zone of this machine is meant.

    Raises InvalidInputError that names the option `name`.
    """
    text = text.strip()
    ago = parse_duration(text)
    try:
        if ago is not None:
            return now - ago
        if text.lower() == "now":
            return now
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


def zone_name(now: datetime) -> str:
    """Return the present name of the time zone of this machine."""
    return now.astimezone().strftime("%Z") or "local"


def show_moment(instant: datetime | None, *, milliseconds: bool = False) -> str:
    """Return an instant in the time zone of this machine; empty for None."""
    if instant is None:
        return ""
    text = instant.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")
    return text[:-3] if milliseconds else text[:-7]
