"""LiveKit's webhook JSON (protojson) made uniform: numbers as numbers, enums as text, defaults filled in.

protojson sends 64-bit integers as text and leaves out defaults. Which fields that concerns is read off the protobuf
descriptors; fields and enum values that the installed protocol does not know pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from livekit.protocol.webhook import WebhookEvent

_LONG = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})


def enum_text(enum: EnumDescriptor, number: int) -> str:
    """Return the name of an enum value; of one that is not known, its number as text."""
    value = enum.values_by_number.get(number)
    return str(value.name) if value is not None else str(number)


def as_number(value: Any) -> Any:
    """Return the integer that protojson sent as text; anything else as it is."""
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal() and value.isascii():
        return int(value)
    return value


def prepare_webhook(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a webhook body with its numbers, enums and defaults made uniform; `body` is not changed."""
    return _WEBHOOK.prepare(body, fill=False)


class _MessageShape:
    """What has to be changed in one kind of message. A default text stays absent: `{"exists": false}` matches it."""

    def __init__(self, descriptor: Any, known: dict[str, _MessageShape]) -> None:
        known[descriptor.full_name] = self
        self._defaults: dict[str, Any] = {}
        self._converters: dict[str, Callable[[Any], Any]] = {}
        for field in descriptor.fields:
            self._add(field, known)

    def _add(self, field: FieldDescriptor, known: dict[str, _MessageShape]) -> None:
        message, enum = field.message_type, field.enum_type
        if message is not None:
            if not message.GetOptions().map_entry:
                shape = known.get(message.full_name) or _MessageShape(message, known)
                if shape._defaults or shape._converters:  # noqa: SLF001 - of the same class
                    self._converters[field.json_name] = shape._convert  # noqa: SLF001 - likewise
            return
        if enum is not None:
            self._converters[field.json_name] = partial(_enum_as_text, enum)
        elif field.cpp_type in _LONG:
            self._converters[field.json_name] = as_number
        if field.is_repeated or field.cpp_type == FieldDescriptor.CPPTYPE_STRING or field.containing_oneof:
            return
        self._defaults[field.json_name] = field.default_value if enum is None else enum_text(enum, 0)

    def prepare(self, message: Mapping[str, Any], *, fill: bool = True) -> dict[str, Any]:
        prepared = {**self._defaults, **message} if fill else dict(message)
        converters = self._converters
        for name, value in message.items():
            convert = converters.get(name)
            if convert is not None:
                prepared[name] = convert(value)
        return prepared

    def _convert(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.prepare(value)
        if isinstance(value, list):
            return [self.prepare(entry) if isinstance(entry, dict) else entry for entry in value]
        return value


def _enum_as_text(enum: EnumDescriptor, value: Any) -> Any:
    if isinstance(value, list):
        return [_enum_as_text(enum, entry) for entry in value]
    return enum_text(enum, value) if type(value) is int else value


_WEBHOOK = _MessageShape(WebhookEvent.DESCRIPTOR, {})
