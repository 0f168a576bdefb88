"""Webhook bodies as `events.body` holds them: without what the other columns of their row say.

Ids, names and times are random to a compressor and stand in columns anyway: six bodies of an answered call take 0.3 kB
instead of 0.7. What was taken out is 0, which LiveKit sends in none of these places, and the whole is put into a list,
so that it is not taken for a body that is stored as it came: one of an earlier release, or one that an erasure rewrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.db.tables import events

BODY_COLUMNS: Final = tuple(
    events.c[name]
    for name in (
        "body",
        "type",
        "livekit_id",
        "room_sid",
        "room_name",
        "participant_sid",
        "participant_identity",
        "participant_name",
        "participant_kind",
        "occurred_at",
    )
)
"""The columns that `body_of` needs."""
_TAKEN_OUT: Final = 0


def without_columns(body: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """Return what to store in `events.body` beside the other columns of `row`; neither is changed."""
    kept = {name: dict(value) if isinstance(value, Mapping) else value for name, value in body.items()}
    for message, name, value in _places(body, row):
        place = kept.get(message) if message else kept
        if not isinstance(place, dict) or name not in place:
            continue
        if _is_taken_out(place[name]):
            return body  # not by LiveKit: nothing can be taken out of it so that it comes back as it was
        if value and place[name] == value:
            place[name] = _TAKEN_OUT
    return [kept]


def body_of(row: Mapping[Any, Any]) -> dict[str, Any] | None:
    """Return the webhook of a row with `BODY_COLUMNS`, as it was stored; None once it is dropped.

    What somebody has changed in the other columns is changed in it, too.
    """
    stored = row["body"]
    body: dict[str, Any] | None = stored[0] if isinstance(stored, list) else stored
    if body is stored or body is None:
        return body
    for message, name, value in _places(body, row):
        place = body.get(message) if message else body
        if isinstance(place, dict) and _is_taken_out(place.get(name)):
            if value is None:
                del place[name]
            else:
                place[name] = value
    return body


def _places(body: Mapping[str, Any], row: Mapping[Any, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Yield a message of the webhook (empty: itself), a field in it, and what the row says of it.

    Two fields of seconds follow from those of milliseconds, so each is yielded after the other is filled in.
    """
    milliseconds = round(row["occurred_at"].timestamp() * 1000)
    yield "", "event", row["type"]
    yield "", "id", row["livekit_id"]
    yield "", "createdAt", str(milliseconds // 1000)
    yield "room", "sid", row["room_sid"]
    yield "room", "name", row["room_name"]
    yield "room", "creationTime", _seconds(body, "room", "creationTimeMs")
    yield "participant", "sid", row["participant_sid"]
    yield "participant", "identity", row["participant_identity"]
    yield "participant", "name", row["participant_name"]
    yield "participant", "kind", row["participant_kind"]
    yield "participant", "joinedAtMs", str(milliseconds)
    yield "participant", "joinedAt", _seconds(body, "participant", "joinedAtMs")


def _seconds(body: Mapping[str, Any], message: str, name: str) -> str | None:
    found = body.get(message)
    milliseconds = found.get(name) if isinstance(found, Mapping) else None
    return milliseconds[:-3] if isinstance(milliseconds, str) else None


def _is_taken_out(value: Any) -> bool:
    return type(value) is int and value == _TAKEN_OUT
