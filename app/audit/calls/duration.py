"""Durations as people read them."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Return a duration such as `340 ms`, `2.4 s`, `3 min 05 s`, `2 h 10 min`, `3 days`; below 0 is taken for 0."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days"
