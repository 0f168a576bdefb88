"""Durations as people read them."""

from __future__ import annotations

from app.translation import gettext, ngettext, number_text


def duration_text(seconds: float) -> str:
    """Return a duration such as `340 ms`, `2.4 s`, `3 min 05 s`, `2 h 10 min`, `3 days`; below 0 is taken for 0."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return gettext("%(number)s ms", number=number_text(seconds * 1000))
    if seconds < 59.95:
        return gettext("%(number)s s", number=number_text(seconds, 1))
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return gettext("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=f"{rest:02d}")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return gettext("%(hours)s h %(minutes)s min", hours=hours, minutes=f"{minutes:02d}")
    return ngettext("%(num)s day", "%(num)s days", hours // 24)


def interval_text(seconds: int) -> str:
    """Return the length of an interval of whole minutes, such as `30 min`, `3 h` or `1 day`."""
    if seconds % 86_400 == 0:
        return ngettext("%(num)s day", "%(num)s days", seconds // 86_400)
    if seconds % 3_600 == 0:
        return gettext("%(number)s h", number=number_text(seconds // 3_600))
    return gettext("%(number)s min", number=number_text(seconds // 60))
