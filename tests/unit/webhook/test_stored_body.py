"""Bodies are stored without what the columns of their row say, and come back as they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.columns.packed_json import pack, unpack
from app.db.types import EventSource
from app.webhook.event import Event
from app.webhook.event_store import from_row, to_row
from app.webhook.parse import build_event
from app.webhook.stored_body import body_of, without_columns

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
RECORDED = sorted((Path(__file__).parents[2] / "data" / "webhooks").glob("**/*.json"))
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text(max_size=3)
FIELDS = ("sid", "name", "identity", "kind", "creationTime", "creationTimeMs", "joinedAt", "joinedAtMs")
MESSAGES = st.dictionaries(st.sampled_from(FIELDS), SCALARS)
BODIES = st.fixed_dictionaries(
    {"event": st.just("room_started") | st.just("participant_joined")},
    optional={"room": MESSAGES, "participant": MESSAGES, "id": SCALARS, "createdAt": SCALARS},
)
ROWS = st.fixed_dictionaries(
    {
        "type": st.just("room_started"),
        "livekit_id": st.text(max_size=3),
        "room_sid": st.text(max_size=3),
        "room_name": st.text(max_size=3),
        "participant_sid": st.text(max_size=3),
        "participant_identity": st.text(max_size=3),
        "participant_name": st.none() | st.text(max_size=3),
        "participant_kind": st.just(""),
        "occurred_at": st.datetimes(timezones=st.just(UTC)),
    }
)


def _event(content: dict[str, Any]) -> Event:
    return build_event(content, project="default", source=EventSource.WEBHOOK, received_at=NOW, event_id="1")


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row as the database gives it back."""
    return {**row, "body": unpack(pack(row["body"]))}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_webhook_of_livekit_takes_less_than_a_third_and_comes_back_in_its_order(path: Path) -> None:
    event = _event(json.loads(path.read_text("utf-8")))
    row = {**to_row(event), "lookups": None}
    assert json.dumps(body_of(_read(row))) == json.dumps(event.body)
    assert from_row(_read(row)).document == event.document
    assert len(pack(row["body"])) < len(json.dumps(event.body, separators=(",", ":"))) / 3


def test_the_recorded_webhooks_take_less_than_90_bytes_each() -> None:
    rows = [to_row(_event(json.loads(path.read_text("utf-8")))) for path in RECORDED]
    assert sum(len(pack(row["body"])) for row in rows) < 90 * len(rows)


def test_the_ids_names_and_times_of_a_call_stand_in_its_columns_only() -> None:
    content = json.loads(next(path for path in RECORDED if path.stem == "participant_joined_web").read_text("utf-8"))
    row = to_row(_event(content))
    stored = json.dumps(row["body"])
    for name in ("livekit_id", "room_sid", "room_name", "participant_sid", "participant_identity", "participant_name"):
        assert row[name]
        assert row[name] not in stored


@given(BODIES, ROWS)
def test_any_body_comes_back_whatever_the_columns_are(body: dict[str, Any], row: dict[str, Any]) -> None:
    stored = {**row, "body": without_columns(body, row)}
    assert json.dumps(body_of(_read(stored))) == json.dumps(body)


def test_an_edit_of_a_column_is_seen_in_the_body() -> None:
    row = to_row(_event({"event": "room_started", "room": {"sid": "RM_1", "name": "hall"}, "id": "EV_1"}))
    assert body_of(_read({**row, "room_name": "lobby"})) == {
        "event": "room_started",
        "room": {"sid": "RM_1", "name": "lobby"},
        "id": "EV_1",
    }


def test_a_name_that_was_removed_from_its_column_is_not_in_the_body() -> None:
    joined = {"event": "participant_joined", "participant": {"sid": "PA_1", "identity": "ana", "name": "Ana"}}
    row = to_row(_event(joined))
    assert body_of(_read({**row, "participant_name": None}))["participant"] == {"sid": "PA_1", "identity": "ana"}  # type: ignore[index]


@pytest.mark.parametrize("stored", [None, {"event": 0, "room": {"name": 0}}])
def test_a_body_that_was_stored_whole_or_dropped_stays_as_it_is(stored: Any) -> None:
    row = to_row(_event({"event": "room_started", "room": {"sid": "RM_1", "name": "hall"}, "id": "EV_1"}))
    assert body_of({**row, "body": stored}) == stored
