"""Metadata of rooms and participants: text that may hold JSON."""

from __future__ import annotations

from typing import Any

from app.strict_json import JsonError, parse_storable_json


def parsed_metadata(text: str) -> Any:
    """Return the JSON value in `text`, or `text` itself if it is not JSON."""
    try:
        return parse_storable_json(text)
    except JsonError:
        return text
