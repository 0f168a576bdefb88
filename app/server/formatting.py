"""Times, durations, shares and documents as text for pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup, escape

from app.audit import duration_text, interval_text, reason_text
from app.db.types import format_instant
from app.translation import DIRECTION_CONTROLS, current_language, gettext, listed, number_text

NOTHING: Final = "\u2013"
"""An en dash, where there is no figure."""


def moment(instant: datetime | None, style: str = "datetime") -> Markup | str:
    """Return a time as `<time>`: in UTC as text, in the viewer's zone after the script has run; exact on hover."""
    if instant is None:
        return NOTHING
    exact = format_instant(instant)
    text = exact[11:19] if style == "time" else current_language().moment(instant.astimezone(UTC))
    return Markup('<time datetime="{}" title="{}" data-style="{}">{} UTC</time>').format(exact, exact, style, text)


def seconds(value: float | None) -> str:
    """Return a duration such as `2.4 s`."""
    return NOTHING if value is None else duration_text(value)


def share(value: float | None) -> str:
    """Return a share of 1 as a percentage."""
    if value is None:
        return NOTHING
    percent = value * 100
    digits = 0 if percent in {0, 100} or percent >= 10 else 1
    return gettext("%(number)s %%", number=number_text(percent, digits))


def count(value: int | None) -> str:
    """Return a number with its thousands separated."""
    return NOTHING if value is None else number_text(value)


def mean(value: float | None) -> str:
    """Return a number with one digit after the decimal separator."""
    return NOTHING if value is None else number_text(value, 1)


def times(value: float | None) -> str:
    """Return a factor followed by a multiplication sign."""
    if value is None:
        return NOTHING
    return f"{number_text(value, 1 if value < 9.95 else 0)}×"


def window(hours: float) -> str:
    """Return a time window such as `Last 24 hours`."""
    if hours < 1:
        return gettext("Last %(minutes)s min", minutes=number_text(hours * 60))
    if hours == 1:
        return gettext("Last hour")
    if hours < 48:
        return gettext("Last %(hours)s hours", hours=f"{hours:g}")
    return gettext("Last %(days)s days", days=f"{hours / 24:g}")


_DIRECTION_ESCAPES: Final = {code: f"\\u{code:04x}" for code in DIRECTION_CONTROLS}


def document(value: Any) -> str:
    """Return JSON, or text that holds JSON, indented for reading; other text as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return indented(value)


def indented(value: Any) -> str:
    """Return JSON for reading and editing: short values stay on one line, except objects that contain objects.

    What turns the writing direction is escaped, so that no value reorders what follows it.
    """
    return _indented(value, 0).translate(_DIRECTION_ESCAPES)


def _indented(value: Any, indent: int) -> str:
    short = json.dumps(value, ensure_ascii=False, default=str)
    flat = not isinstance(value, dict) or (
        indent > 0 and not any(isinstance(one, dict | list) for one in value.values())
    )
    if not value or not isinstance(value, dict | list) or (flat and len(short) <= 72 - indent):
        return short
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        lines = [
            f"{inner}{json.dumps(name, ensure_ascii=False)}: {_indented(one, indent + 2)}"
            for name, one in value.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(inner + _indented(one, indent + 2) for one in value) + "\n" + " " * indent + "]"


def with_code(text: str) -> Markup:
    """Return text as HTML, with what is between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def brief(value: Any, most: int) -> str:
    """Return JSON in one line, cut after `most` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[: most - 1] + "…"


def state_text(state: Any) -> str:
    """Return the name of a state in the reader's language: `no_show` as `no show`."""
    return gettext(state_name(state))


def state_name(state: Any) -> str:
    """Return the name of a state in English."""
    return str(state).replace("_", " ")


_BROWSERS: Final = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"),
                    ("Safari", "Safari"))  # fmt: skip
_SYSTEMS: Final = (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"),
                   ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip


def browser(user_agent: str) -> str:
    """Return what a browser calls itself as `Chrome on Linux`; other programs by the begin of what they send."""
    name = next((name for mark, name in _BROWSERS if f"{mark}/" in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if name:
        return gettext("%(browser)s on %(system)s", browser=name, system=system) if system else name
    return brief(user_agent, 40) or gettext("unknown")


def capitalize_first(text: str) -> str:
    """Return a text in the reader's language as the begin of a sentence; names and codes in it keep their case."""
    text = gettext(text)
    return text[:1].upper() + text[1:].rstrip(".")


def full_stop(text: str) -> str:
    """Return a text in the reader's language as a sentence that another one follows."""
    text = gettext(text)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def reason(of: Any) -> str:
    """Return why a dispatch or a call is in its state, in the reader's language."""
    return reason_text(of.cause, of.reason, getattr(of, "rules", ()))


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "moment": moment,
    "instant": format_instant,
    "seconds": seconds,
    "interval": interval_text,
    "share": share,
    "count": count,
    "mean": mean,
    "times": times,
    "translated": gettext,
    "listed": listed,
    "window": window,
    "document": document,
    "brief": brief,
    "browser": browser,
    "with_code": with_code,
    "state": state_text,
    "reason": reason,
    "capitalize_first": capitalize_first,
    "full_stop": full_stop,
}
