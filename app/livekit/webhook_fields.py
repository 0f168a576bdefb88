"""The fields of the document that rules match: LiveKit's by the installed protocol's descriptors, and those added."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from app.livekit.participant.phone import Direction
from app.livekit.participant.role import Role
from app.livekit.vocabulary import EventType

FREE_PATHS: Final = frozenset({"room.metadata", "participant.metadata", "participant.attributes"})
"""Paths below which applications choose the names."""

SECRET_PATH: Final = "room.turnPassword"  # noqa: S105 - the name of a field
CODECS_PATH: Final = "room.enabledCodecs"

_SENSITIVITY: Final = "logger.sensitivity"
_SECRET: Final = 2  # SENSITIVITY_SECRET in logger/options.proto
_SECRET_NAMES: Final = frozenset(
    {"turnPassword", "streamKey", "accessKey", "secret", "sessionToken", "password", "credentials", "accountKey"}
    | {"signingKey"}
)
"""Secret fields of ingress and egress; `signingKey` is not marked as one, and older protocols mark none."""


@dataclass(frozen=True, slots=True)
class KnownField:
    """What is at a known path: an object with `fields`, or values of one `kind` ("" if they may be of any).

    `kind` is text, number or boolean; `values` are all that are known, if they are an enum's.
    """

    fields: tuple[str, ...] = ()
    kind: str = ""
    values: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def known_fields() -> dict[str, KnownField]:
    """Return every known field by its dotted path in the document that rules match; "" is the document itself."""
    paths: dict[str, KnownField] = {}
    _add_message(paths, "", _webhook_descriptor(), ())
    root = paths[""]
    paths[""] = KnownField((*root.fields, "project"))
    paths["project"] = KnownField(kind="text")
    participant = paths["participant"]
    paths["participant"] = KnownField((*participant.fields, "role", "phone"))
    paths["participant.role"] = KnownField(kind="text", values=tuple(Role))
    paths["participant.phone"] = KnownField(("caller", "called", "direction"))
    paths["participant.phone.caller"] = paths["participant.phone.called"] = KnownField(kind="text")
    paths["participant.phone.direction"] = KnownField(kind="text", values=tuple(Direction))
    paths["event"] = KnownField(kind="text", values=tuple(EventType))
    return paths


@lru_cache(maxsize=1)
def secret_names() -> frozenset[str]:
    """Return the names of all fields of webhooks that hold secrets, such as stream keys and credentials."""
    names = set(_SECRET_NAMES)
    _add_secrets(names, _webhook_descriptor(), set())
    return frozenset(names)


def _webhook_descriptor() -> Any:
    # Imported where it is needed: commands that read no webhook do not wait for the protocol.
    from livekit.protocol.webhook import WebhookEvent  # noqa: PLC0415

    return WebhookEvent.DESCRIPTOR


def _add_secrets(names: set[str], descriptor: Any, known: set[str]) -> None:
    known.add(descriptor.full_name)
    for field in descriptor.fields:
        options = field.GetOptions().ListFields()
        if any(option.full_name == _SENSITIVITY and value == _SECRET for option, value in options):
            names |= {field.json_name, field.name}
        if field.message_type is not None and field.message_type.full_name not in known:
            _add_secrets(names, field.message_type, known)


def _add_message(paths: dict[str, KnownField], path: str, descriptor: Any, within: tuple[str, ...]) -> None:
    paths[path] = KnownField(tuple(field.json_name for field in descriptor.fields))
    for field in descriptor.fields:
        below = f"{path}.{field.json_name}" if path else field.json_name
        message = field.message_type
        if message is None:
            paths[below] = _leaf(field)
        elif message.GetOptions().map_entry or message.full_name in within or message.file.name.startswith("google/"):
            paths[below] = KnownField()
        else:
            _add_message(paths, below, message, (*within, message.full_name))


def _leaf(field: Any) -> KnownField:
    from google.protobuf.descriptor import FieldDescriptor  # noqa: PLC0415 - as above

    if field.enum_type is not None:
        return KnownField(kind="text", values=tuple(value.name for value in field.enum_type.values))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return KnownField(kind="boolean")
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return KnownField(kind="text")
    return KnownField(kind="number")
