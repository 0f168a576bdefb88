"""Copies of webhook JSON without secrets, without what nobody needs, and without what `USHER_REDACT` names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from app.livekit.attributes import PHONE_NUMBER, TRUNK_NUMBER
from app.livekit.webhook_fields import secret_names
from app.webhook.metadata import parsed_metadata

SECRET_FIELD = "turnPassword"  # noqa: S105 - the name of a field
"""A room's TURN password: never stored, shown, matched or passed on."""
_NOT_KEPT_OF_ROOMS: Final = frozenset({SECRET_FIELD, "enabledCodecs"})
"""The list of codecs is the same in every webhook of a server, and was a third of the stored bytes of a body."""

_WITH_CREDENTIALS: Final = ("ingressInfo", "egressInfo")
"""Messages that hold stream keys and credentials of storage at any depth."""

_ALSO: Final[Mapping[str, tuple[str, ...]]] = {
    "participant": ("job.participant",),
    "participant.name": ("ingressInfo.participantName",),
    "participant.metadata": ("ingressInfo.participantMetadata",),
    "participant.tracks": ("job.participant.tracks", "ingressInfo.state.tracks"),
    "room": ("job.room",),
    "track": ("participant.tracks", "job.participant.tracks", "ingressInfo.state.tracks"),
}
"""Where webhooks repeat what is at a path."""

_PHONE: Final = "participant.phone"
_PHONE_SOURCES: Final = tuple(f"participant.attributes.{name}" for name in (PHONE_NUMBER, TRUNK_NUMBER))


def without_secrets(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without TURN passwords, lists of codecs, stream keys and credentials of storage."""
    body = _with_short_rooms(content)
    for name in _WITH_CREDENTIALS:
        if name in body:
            body[name] = _without_names(body[name], secret_names())
    return body


def _with_short_rooms(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without TURN password and codecs, which are in `room` and in messages that hold a room (`job`)."""
    body = dict(content)
    for name, value in content.items():
        if isinstance(value, dict):
            if not _NOT_KEPT_OF_ROOMS.isdisjoint(value):
                body[name] = {key: entry for key, entry in value.items() if key not in _NOT_KEPT_OF_ROOMS}
            if any(isinstance(entry, dict) and not _NOT_KEPT_OF_ROOMS.isdisjoint(entry) for entry in value.values()):
                body[name] = _with_short_rooms(body[name])
    return body


def _without_names(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without_names(entry, names) for name, entry in value.items() if name not in names}
    if isinstance(value, list):
        return [_without_names(entry, names) for entry in value]
    return value


def leave_out(value: Any, paths: Sequence[str]) -> Any:
    """Return a copy of webhook JSON without what is at `paths` and below them, also where webhooks repeat it.

    A path may lead into text that holds JSON, such as metadata. Such text is left out whole if it is no JSON object or
    array: other programs may read what we cannot.
    """
    for path in _expanded(tuple(paths)):
        value = _without_path(value, path)
    return value


@lru_cache(maxsize=64)
def _expanded(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths, and those at which webhooks repeat the same."""
    every: dict[str, None] = {}
    for path in paths:
        sources = _PHONE_SOURCES if path == _PHONE or path.startswith(f"{_PHONE}.") else (path,)
        for source in sources:
            every[source] = None
            for prefix, others in _ALSO.items():
                if source == prefix or source.startswith(f"{prefix}."):
                    every |= dict.fromkeys(other + source[len(prefix) :] for other in others)
    return tuple(every)


def _without_path(value: Any, path: str) -> Any:
    if isinstance(value, list):
        left = [_text_without(entry, path) if isinstance(entry, str) else _without_path(entry, path) for entry in value]
        return [entry for entry, before in zip(left, value, strict=True) if entry is not None or before is None]
    if not isinstance(value, dict):
        return value
    # Names may hold dots themselves (attributes do), so every way of cutting the path is tried.
    below = f"{path}."
    copy = {name: entry for name, entry in value.items() if name != path and not name.startswith(below)}
    for position, character in enumerate(path):
        if character == "." and path[:position] in copy:
            name, rest = path[:position], path[position + 1 :]
            if not isinstance(copy[name], str):
                copy[name] = _without_path(copy[name], rest)
            elif (text := _text_without(copy.pop(name), rest)) is not None:
                copy[name] = text
    return copy


def _text_without(text: str, path: str) -> str | None:
    """Return text that holds JSON without what is at `path`; None if it has to be left out whole."""
    parsed = parsed_metadata(text)
    if isinstance(parsed, dict | list):
        return json.dumps(_without_path(parsed, path), ensure_ascii=False)
    return None if text.strip() else text
