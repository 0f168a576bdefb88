"""Exports: CSV that a spreadsheet may open, JSON lines that a program may read."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.audit import EventDetail, ExportFormat, export_events
from app.db.types import EventOutcome, EventSource

NOW = datetime(2026, 11, 22, 14, 2, 7, tzinfo=UTC)


def _event(**values: Any) -> EventDetail:
    given: dict[str, Any] = {
        "id": "1", "livekit_id": "EV_1", "project": "default", "type": "participant_joined",
        "source": EventSource.WEBHOOK, "room_name": "r", "room_sid": "RM_1", "participant_identity": "ana",
        "participant_sid": "PA_1", "participant_kind": "STANDARD", "participant_role": "caller",
        "phone_number": None, "occurred_at": NOW,
        "received_at": NOW, "outcome": EventOutcome.PLANNED, "rules_version": 3, "dedupe_key": "k",
        "body": {"event": "participant_joined"}, "decision": None, **values,
    }  # fmt: skip
    return EventDetail(**given)


def _cells(**values: Any) -> dict[str, str]:
    text = "".join(export_events([_event(**values)], ExportFormat.CSV))
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    return dict(row)


def test_csv_has_a_head_and_a_row_for_each_without_documents() -> None:
    row = _cells()
    assert row["received_at"] == "2026-11-22T14:02:07.000000Z"
    assert (row["source"], row["rules_version"], row["phone_number"]) == ("webhook", "3", "")
    assert "body" not in row


@pytest.mark.parametrize("identity", ['a,"b"\nc', "ünï", "a;b", " spaced "])
def test_csv_keeps_any_text(identity: str) -> None:
    assert _cells(participant_identity=identity)["participant_identity"] == identity


@pytest.mark.parametrize("identity", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd", "\t=1", "\r=1"])
def test_a_name_is_no_formula_for_a_spreadsheet(identity: str) -> None:
    assert _cells(participant_identity=identity)["participant_identity"] == f"'{identity}"


@pytest.mark.parametrize("number", ["+34600111222", "+1 (555) 765-4321", "-7"])
def test_a_phone_number_stays_as_it_is(number: str) -> None:
    assert _cells(phone_number=number)["phone_number"] == number


def test_json_lines_have_everything() -> None:
    lines = list(export_events([_event(), _event(id="2")], ExportFormat.JSONL))
    assert [json.loads(line)["id"] for line in lines] == ["1", "2"]
    assert json.loads(lines[0])["body"] == {"event": "participant_joined"}
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)


def test_nothing_is_still_a_table() -> None:
    assert "".join(export_events([], ExportFormat.CSV)).startswith("id,livekit_id,")
    assert list(export_events([], ExportFormat.JSONL)) == []
