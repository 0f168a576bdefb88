"""Dataclasses that are JSON documents: one declaration makes the document and its schema.

The API's OpenAPI document, `--json` and exports all rest on the same fields, so they cannot contradict each other.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, PlainSerializer, TypeAdapter, WithJsonSchema

from app.db.types import format_instant

Instant = Annotated[
    datetime,
    PlainSerializer(format_instant, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time that is written as Usher writes all times: UTC, microseconds, `Z`."""


class JsonShape:
    """A dataclass whose fields are the keys of a JSON object."""

    __slots__ = ()
    # What has a default is in every document all the same.
    __pydantic_config__ = ConfigDict(json_schema_serialization_defaults_required=True)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object; times as text, what is not known as null."""
        kind: Any = type(self)
        document: dict[str, Any] = shape_of(kind).dump_python(self, mode="json", by_alias=True)
        return document


@cache
def shape_of(kind: Any) -> TypeAdapter[Any]:
    """Return what writes values of a type as JSON and describes them by a JSON schema."""
    return TypeAdapter(kind)
