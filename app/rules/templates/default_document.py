"""The document that agents receive of rules without a metadata template, and metadata as text of a limited size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from app.errors import Problem
from app.rules.templates.jsone import TemplateError
from app.translation import translatable

_NOTHING: Final[dict[str, Any]] = {}
_OMITTED_FIRST: Final = (
    ("participant", "attributes"),
    ("participant", "metadata"),
    ("room", "metadata"),
    ("previous", "context"),
)
"""What the default document leaves out, in this order, until it is short enough."""

CONTEXT_LEFT_OUT: Final = "previous.context"
"""In `omitted` of a default document that was too long even without what comes before it."""

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_compact_ascii = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def _default_document(document: Mapping[str, Any], rule: Any, previous: Mapping[str, Any] | None) -> dict[str, Any]:
    participant = document.get("participant") or _NOTHING
    room = document.get("room") or _NOTHING
    default = {
        "participant": {
            "identity": participant.get("identity", ""),
            "name": participant.get("name", ""),
            "kind": participant.get("kind", ""),
            "metadata": participant.get("metadata", ""),
            "attributes": participant.get("attributes", _NOTHING),
        },
        "room": {"name": room.get("name", ""), "metadata": room.get("metadata", "")},
        "rule": rule["name"] if isinstance(rule, Mapping) else rule.name,
    }
    return default if previous is None else {**default, "previous": previous}


def render_default_document(
    document: Mapping[str, Any], rule: Any, previous: Mapping[str, Any] | None, max_bytes: int
) -> str:
    """Return the default document as text; if it is too long, without what callers can make long.

    A caller must not stay without an agent because its metadata is long. What is missing is named in `omitted`. Raises
    TemplateError when the rest is still longer than `max_bytes`.
    """
    default = _default_document(document, rule, previous)
    omitted: list[str] = []
    text = json_text(default)
    for part, name in _OMITTED_FIRST:
        if fits(text, max_bytes):
            return text
        if default.get(part, {}).get(name):
            default = {**default, part: {key: value for key, value in default[part].items() if key != name}}
            omitted.append(f"{part}.{name}")
            text = json_text({**default, "omitted": omitted})
    if fits(text, max_bytes):
        return text
    raise metadata_error(
        translatable("is %(count)s bytes long, at most %(most)s are allowed", count=len(text.encode()), most=max_bytes)
    )


def leaves_out_context(metadata: str | None) -> bool:
    """Return whether metadata is a default document that left out what the agent before has left."""
    if not metadata or CONTEXT_LEFT_OUT not in metadata:
        return False
    document = json.loads(metadata) if metadata.startswith("{") else None
    return isinstance(document, dict) and CONTEXT_LEFT_OUT in (document.get("omitted") or ())


def fits(text: str, max_bytes: int) -> bool:
    """Return whether `text` has at most `max_bytes` bytes in UTF-8."""
    return len(text) * 4 <= max_bytes or len(text.encode()) <= max_bytes


def json_text(value: Any) -> str:
    """Return `value` as compact JSON text that UTF-8 can carry; raises TemplateError for what JSON cannot."""
    try:
        text = _compact(value)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON may carry as an escape but UTF-8 may not.
        return _compact_ascii(value)
    except (ValueError, RecursionError) as error:
        raise metadata_error(
            translatable("cannot be written as JSON: a number is infinite or it nests too deep")
        ) from error
    return text


def metadata_error(message: str) -> TemplateError:
    """Return the error of metadata that cannot be sent."""
    return TemplateError([Problem("metadata", message)])
