"""Metadata of rooms and participants: text that may hold JSON."""

from __future__ import annotations

from typing import Any

from app.strict_json import JsonError, parse_storable_json


def parsed_metadata(text: str) -> Any:
    """Return the JSON object or array in `text`, else `text` itself.

    A bare scalar stays text: as numbers `1.10` would become 1.1, `007` is no JSON, and `12e3` may be an account.
    """
    try:
        value = parse_storable_json(text)
    except JsonError:
        return text
    return value if isinstance(value, dict | list) else text
