"""JSON as LiveKit and its users send it, made fit to be stored, matched and handed on, or refused."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting. LiveKit's own messages have fewer than ten; deeper ones exhaust whoever walks them."""


class JsonTextError(ValueError):
    """The text is not JSON, or JSON that nobody could store or walk."""


def read_json(text: str | bytes) -> Any:
    """Return what `text` says; NUL and lone surrogates, which JSON may carry and databases may not, become U+FFFD.

    Raises `JsonTextError` for what is not JSON in UTF-8, for NaN and numbers beyond a float, and beyond `MAX_DEPTH`.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise JsonTextError("not JSON in UTF-8") from error
    # Counting is fast, and nothing is nested deeper than it has brackets.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(value):
        raise JsonTextError(f"nested deeper than {MAX_DEPTH} levels")
    # Looking for the escapes first spares the walk: a raw NUL is not JSON, a raw surrogate not UTF-8.
    return storable(value) if "\\u0000" in text or "\\ud" in text or "\\uD" in text else value


def storable(value: Any) -> Any:
    """Return a copy of a document without NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {storable(name): storable(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [storable(entry) for entry in value]
    return value


def _refuse(name: str) -> None:
    raise JsonTextError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise JsonTextError(f"{digits} is beyond every float")
    return number


# `json.loads` would make one at every call.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            entry
            for container in level
            if isinstance(container, dict | list)
            for entry in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(entry, dict | list) for entry in level)
