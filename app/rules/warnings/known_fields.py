"""Warnings of fields and values in a pattern that LiveKit is not known to send.

Warnings, never errors: a newer LiveKit sends fields that are not known here, and rules may ask for them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from app.errors import Problem
from app.livekit.attributes import SIP_ATTRIBUTES
from app.livekit.webhook_fields import CODECS_PATH, FREE_PATHS, SECRET_PATH, KnownField, known_fields
from app.rules.language.matcher import Exact, Key, Matcher, OneOf
from app.rules.language.pattern import Pattern
from app.translation import translatable
from app.webhook.lookup_answers import LOOKUP

_ATTRIBUTES = "participant.attributes."


def check_fields(pattern: Pattern) -> list[Problem]:
    """Return a warning for each field or value that LiveKit is not known to send, with the nearest known spelling."""
    warnings: dict[Problem, None] = {}
    for alternative in pattern.alternatives:
        for path, matchers in alternative.items():
            warnings.update(dict.fromkeys(_check_field(path, matchers)))
    return list(warnings)


def _check_field(path: str, matchers: tuple[Matcher, ...]) -> Iterator[Problem]:
    if path == SECRET_PATH:
        yield Problem(path, translatable("is a secret that rules never see"))
        return
    if path == CODECS_PATH or path.startswith(f"{CODECS_PATH}."):
        yield Problem(path, translatable("is left out of rooms: rules never see it"))
        return
    if path.startswith(f"{LOOKUP}."):
        return
    parts = path.split(".")
    known: KnownField | None = known_fields()[""]
    for size in range(len(parts) + 1):
        here = ".".join(parts[:size])
        if here in FREE_PATHS:
            yield from _check_attribute(path)
            return
        known = known_fields().get(here)
        if known is None:
            above = ".".join(parts[: size - 1])
            yield _unknown(above, parts[size - 1])
            return
        if not known.fields and size < len(parts):
            yield Problem(
                path,
                translatable("%(here)s is a %(kind)s and has no fields", here=here, kind=_kind_name(known.kind)),
                parts[size],
            )
            return
    if known is not None and known.fields:
        yield Problem(
            path,
            translatable("is an object, not a value; name one of its fields: %(names)s", names=", ".join(known.fields)),
        )
    elif known is not None:
        for key in _keys(matchers):
            yield from _check_value(path, known, key)


def _unknown(above: str, part: str) -> Problem:
    fields = known_fields()[above].fields
    near = difflib.get_close_matches(part, fields, n=1) or [
        name for name in fields if name.casefold() == part.replace("_", "").casefold()
    ]
    where = f"{above}.{part}" if above else part
    suggestion = (f"{above}.{near[0]}" if above else near[0]) if near else None
    return Problem(where, translatable("is not a field that LiveKit is known to send"), part, suggestion)


def _check_attribute(path: str) -> Iterator[Problem]:
    if not path.startswith(_ATTRIBUTES):
        return
    name = path.removeprefix(_ATTRIBUTES)
    if name in SIP_ATTRIBUTES or name.startswith("sip.h."):
        return
    same = [known for known in SIP_ATTRIBUTES if known.casefold() == name.casefold()]
    near = same or (difflib.get_close_matches(name, SIP_ATTRIBUTES, n=1, cutoff=0.85) if "sip" in name.lower() else [])
    if near:
        yield Problem(
            path, translatable("is not an attribute that LiveKit sets, but similar to one"), name, _ATTRIBUTES + near[0]
        )


def _keys(matchers: tuple[Matcher, ...]) -> Iterator[Key]:
    for matcher in matchers:
        if isinstance(matcher, Exact):
            yield matcher.key
        elif isinstance(matcher, OneOf):
            yield from matcher.keys


def _check_value(path: str, known: KnownField, key: Key) -> Iterator[Problem]:
    kind = "text" if isinstance(key, str) else "boolean" if isinstance(key, tuple) and key[0] == "boolean" else "number"
    if key is None:
        return
    if known.kind and kind != known.kind:
        found = key if isinstance(key, str) else key[1] if isinstance(key, tuple) else str(key)
        message = translatable(
            "holds a %(kind)s and never equals a %(other)s", kind=_kind_name(known.kind), other=_kind_name(kind)
        )
        yield Problem(path, message, found, _as_kind(found, known.kind))
    elif known.values and isinstance(key, str) and key not in known.values:
        near = difflib.get_close_matches(key, known.values, n=1) or difflib.get_close_matches(
            key.upper(), known.values, n=1
        )
        allowed = (
            translatable("; known are %(names)s", names=", ".join(known.values)) if len(known.values) <= 20 else ""
        )
        yield Problem(
            path,
            translatable("is not known to be %(key)s%(allowed)s", key=repr(key), allowed=allowed),
            key,
            near[0] if near else None,
        )


def _kind_name(kind: str) -> str:
    match kind:
        case "text":
            return translatable("text")
        case "number":
            return translatable("number")
        case "boolean":
            return translatable("boolean")
        case _:
            return translatable("value")


def _as_kind(text: str, kind: str) -> str | None:
    """Return `text` as a JSON value of the other kind, with or without quotes; None if it cannot be one."""
    if kind == "text":
        return f'"{text}"'
    if kind == "boolean":
        return text.lower() if text.lower() in {"true", "false"} else None
    return text if text.lstrip("-").isdigit() else None
