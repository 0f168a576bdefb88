"""Copies of webhook JSON without secrets and without what `USHER_REDACT` names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.webhook.metadata import parsed_metadata

SECRET_FIELD = "turnPassword"  # noqa: S105 - the name of a field
"""A room's TURN password: never stored, shown, matched or passed on."""


def without_turn_password(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without the room's TURN password, which is in `room` and in messages that hold a room (`job`)."""
    body = dict(content)
    for name, value in content.items():
        if isinstance(value, dict):
            if SECRET_FIELD in value:
                body[name] = {key: entry for key, entry in value.items() if key != SECRET_FIELD}
            if any(isinstance(entry, dict) and SECRET_FIELD in entry for entry in value.values()):
                body[name] = without_turn_password(body[name])
    return body


def leave_out(value: Any, paths: Sequence[str]) -> Any:
    """Return a copy of webhook JSON without what is at `paths`, also inside metadata that holds JSON."""
    for path in paths:
        value = _without_path(value, path)
    return value


def _without_path(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_without_path(entry, path) for entry in value]
    if isinstance(value, str):  # metadata that holds JSON
        parsed = parsed_metadata(value)
        if not isinstance(parsed, dict | list):
            return value
        return json.dumps(_without_path(parsed, path), ensure_ascii=False)
    if not isinstance(value, dict):
        return value
    copy = dict(value)
    # Names may hold dots themselves (attributes do), so every way of cutting the path is tried.
    copy.pop(path, None)
    for position, character in enumerate(path):
        if character == "." and path[:position] in copy:
            name = path[:position]
            copy[name] = _without_path(copy[name], path[position + 1 :])
    return copy
