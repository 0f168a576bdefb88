"""The fields that LiveKit is known to send, to warn of those it never does.

Warnings, never errors: a newer LiveKit sends fields that this one does not know, and rules may ask for them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from livekit.protocol.webhook import WebhookEvent

from app.errors import Problem
from app.rules.language.matcher import Exact, Key, Matcher, OneOf
from app.rules.language.pattern import Pattern

EVENTS = (
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "participant_updated",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
    "agent_job_started",
    "agent_job_ended",
)
"""All but `participant_updated`, which the sweep makes, are LiveKit's."""

SIP_ATTRIBUTES = (
    "sip.callID",
    "sip.callIDFull",
    "sip.callStatus",
    "sip.callTag",
    "sip.hostname",
    "sip.phoneNumber",
    "sip.ruleID",
    "sip.trunkID",
    "sip.trunkPhoneNumber",
)

_FREE = frozenset({"room.metadata", "participant.metadata", "participant.attributes"})
_ATTRIBUTES = "participant.attributes."
_SECRET = "room.turnPassword"  # noqa: S105 - the name of a field


@dataclass(frozen=True, slots=True)
class _Known:
    """What stands at a known path: fields of its own, or values of one kind ("" when it may be any)."""

    fields: tuple[str, ...] = ()
    kind: str = ""
    values: tuple[str, ...] = ()


def check_fields(pattern: Pattern) -> list[Problem]:
    """Return what the pattern asks of LiveKit in vain, as far as is known, each with the nearest right spelling."""
    warnings: dict[Problem, None] = {}
    for alternative in pattern.alternatives:
        for path, matchers in alternative.items():
            warnings.update(dict.fromkeys(_check_field(path, matchers)))
    return list(warnings)


def _check_field(path: str, matchers: tuple[Matcher, ...]) -> Iterator[Problem]:
    if path == _SECRET:
        yield Problem(path, "is a secret that rules never see")
        return
    parts = path.split(".")
    known: _Known | None = _known_paths()[""]
    for size in range(len(parts) + 1):
        here = ".".join(parts[:size])
        if here in _FREE:
            yield from _check_attribute(path)
            return
        known = _known_paths().get(here)
        if known is None:
            above = ".".join(parts[: size - 1])
            yield _unknown(above, parts[size - 1])
            return
        if not known.fields and size < len(parts):
            yield Problem(path, f"{here} is a {known.kind or 'value'} and has no fields", parts[size])
            return
    if known is not None and known.fields:
        yield Problem(path, f"is an object, not a value; name one of its fields: {', '.join(known.fields)}")
    elif known is not None:
        for key in _keys(matchers):
            yield from _check_value(path, known, key)


def _unknown(above: str, part: str) -> Problem:
    fields = _known_paths()[above].fields
    near = difflib.get_close_matches(part, fields, n=1) or [
        name for name in fields if name.casefold() == part.replace("_", "").casefold()
    ]
    where = f"{above}.{part}" if above else part
    suggestion = (f"{above}.{near[0]}" if above else near[0]) if near else None
    return Problem(where, "is no field that LiveKit is known to send", part, suggestion)


def _check_attribute(path: str) -> Iterator[Problem]:
    if not path.startswith(_ATTRIBUTES):
        return
    name = path.removeprefix(_ATTRIBUTES)
    if name in SIP_ATTRIBUTES or name.startswith("sip.h."):
        return
    same = [known for known in SIP_ATTRIBUTES if known.casefold() == name.casefold()]
    near = same or (difflib.get_close_matches(name, SIP_ATTRIBUTES, n=1, cutoff=0.85) if "sip" in name.lower() else [])
    if near:
        yield Problem(path, "is no attribute that LiveKit sets, though much like one", name, _ATTRIBUTES + near[0])


def _keys(matchers: tuple[Matcher, ...]) -> Iterator[Key]:
    for matcher in matchers:
        if isinstance(matcher, Exact):
            yield matcher.key
        elif isinstance(matcher, OneOf):
            yield from matcher.keys


def _check_value(path: str, known: _Known, key: Key) -> Iterator[Problem]:
    kind = "text" if isinstance(key, str) else "boolean" if isinstance(key, tuple) and key[0] == "boolean" else "number"
    if key is None:
        return
    if known.kind and kind != known.kind:
        found = key if isinstance(key, str) else key[1] if isinstance(key, tuple) else str(key)
        message = f"holds a {known.kind} and never equals a {kind}"
        yield Problem(path, message, found, _as_kind(found, known.kind))
    elif known.values and isinstance(key, str) and key not in known.values:
        near = difflib.get_close_matches(key, known.values, n=1) or difflib.get_close_matches(
            key.upper(), known.values, n=1
        )
        allowed = f"; known are {', '.join(known.values)}" if len(known.values) <= 20 else ""
        yield Problem(path, f"is not known to be {key!r}{allowed}", key, near[0] if near else None)


def _as_kind(text: str, kind: str) -> str | None:
    """Return how to write without quotes what was written with them, or the other way round."""
    if kind == "text":
        return f'"{text}"'
    if kind == "boolean":
        return text.lower() if text.lower() in {"true", "false"} else None
    return text if text.lstrip("-").isdigit() else None


@lru_cache(maxsize=1)
def _known_paths() -> dict[str, _Known]:
    paths: dict[str, _Known] = {}
    _add_message(paths, "", WebhookEvent.DESCRIPTOR, ())
    root = paths[""]
    paths[""] = _Known((*root.fields, "project"))
    paths["project"] = _Known(kind="text")
    paths["event"] = _Known(kind="text", values=EVENTS)
    return paths


def _add_message(paths: dict[str, _Known], path: str, descriptor: Any, within: tuple[str, ...]) -> None:
    paths[path] = _Known(tuple(field.json_name for field in descriptor.fields))
    for field in descriptor.fields:
        below = f"{path}.{field.json_name}" if path else field.json_name
        message = field.message_type
        if message is None:
            paths[below] = _leaf(field)
        elif message.GetOptions().map_entry or message.full_name in within or message.file.name.startswith("google/"):
            paths[below] = _Known()
        else:
            _add_message(paths, below, message, (*within, message.full_name))


def _leaf(field: Any) -> _Known:
    if field.enum_type is not None:
        return _Known(kind="text", values=tuple(value.name for value in field.enum_type.values))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _Known(kind="boolean")
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _Known(kind="text")
    return _Known(kind="number")
