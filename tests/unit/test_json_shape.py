"""Dataclasses as JSON documents: the schema says what is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from app.json_shape import Instant, JsonShape, shape_of


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Part(JsonShape):
    at: Instant | None
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Whole(JsonShape):
    parts: tuple[Part, ...]
    facts: dict[str, Any]


NOON = datetime(2026, 11, 22, 13, 0, tzinfo=timezone(timedelta(hours=1)))


def test_times_are_written_as_everywhere() -> None:
    assert Part(NOON).to_json()["at"] == "2026-11-22T12:00:00.000000Z"
    assert Part(None).to_json()["at"] is None
    assert Part(NOON.astimezone(UTC)).to_json()["at"] == "2026-11-22T12:00:00.000000Z"


def test_documents_are_nested_and_keep_what_databases_gave() -> None:
    document = Whole((Part(None),), {"ids": ["a", {"b": None}], "half a pair": "\ud83d"}).to_json()
    assert document == {
        "parts": [{"at": None, "colour": "red"}],
        "facts": {"ids": ["a", {"b": None}], "half a pair": "\ud83d"},
    }


def test_the_schema_requires_every_key_that_is_written() -> None:
    schema = shape_of(Whole).json_schema(mode="serialization")
    assert schema["required"] == ["parts", "facts"]
    assert schema["$defs"]["Part"]["required"] == ["at", "colour"]
    assert schema["$defs"]["Part"]["properties"]["at"]["anyOf"][0] == {"type": "string", "format": "date-time"}
