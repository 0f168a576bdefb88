"""What the command line does to dispatches and events by hand, on both databases."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import typer

from app.cli.calls.dispatches import cancel, redrive
from app.cli.calls.events import replay_
from app.errors import InvalidInputError, NotFoundError, SettingsError
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, caller_row, dispatch_row, event_row, store

COUNT = 230  # more than two batches


@pytest.fixture
def rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Callers of which one half waits and the other was failed, in rooms of their own; every tenth was sent."""
    monkeypatch.setenv("DATABASE_URL", database.text)
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "USHER_PROJECTS_FILE"):
        monkeypatch.delenv(name, raising=False)
    database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('spanish', :pattern, 'support-es')",
        pattern='{"event": ["participant_joined"]}',
    )
    joined, orders = [], []
    for number in range(COUNT):
        event = event_row(at(number), participant_identity=f"caller {number}", room_sid=f"RM_{number}")
        order = dispatch_row(
            at(number), event, status="failed" if number % 2 else "pending", attempts=1 if number % 10 == 0 else 0,
            next_attempt_at=at(number), agent_name="odd" if number % 2 else "even",
        )  # fmt: skip
        joined.append(event)
        orders.append(order)
    with database.writer_engine().begin() as connection:
        callers = [caller_row(order, event) for order, event in zip(orders, joined, strict=True)]
        store(connection, event_rows=joined, dispatch_rows=orders, callers=callers)
    return orders


def _counts(database: Database) -> dict[str, int]:
    found = database.execute("SELECT status, count(*) AS number FROM dispatches GROUP BY status")
    return {row["status"]: row["number"] for row in found}


def _run(command: Any, capsys: pytest.CaptureFixture[str], *, code: int = 0, **given: Any) -> Any:
    """Run a command as the command line does, with every other option at its default; return its JSON."""
    defaults = {
        name: None if parameter.default is inspect.Parameter.empty else parameter.default
        for name, parameter in inspect.signature(command).parameters.items()
    }
    reached = 0
    try:
        command(**{**defaults, "as_json": True, **given})
    except typer.Exit as ended:
        reached = ended.exit_code
    assert reached == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("rows")
def test_dispatches_chosen_by_options_are_redriven_in_batches(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = _run(redrive, capsys, agent="odd", dry_run=True)
    assert (len(tried["done"]), tried["dry_run"]) == (COUNT // 2, True)
    assert _counts(database) == {"failed": 115, "pending": 115}
    done = _run(redrive, capsys, agent="odd", by="maria")
    assert (len(done["done"]), done["refused"]) == (COUNT // 2, {})
    assert _counts(database) == {"failed": 115, "pending": 230}  # the old verdict stands
    lines = database.execute("SELECT DISTINCT changed_by, to_state, reason FROM audit_log")
    assert [(line["changed_by"], line["to_state"]) for line in lines] == [("maria", "pending")]
    # And each is redriven once
    again = _run(redrive, capsys, code=1, agent="odd", status=["failed"])
    assert (again["done"], len(again["refused"])) == ({}, 115)


def test_those_named_are_refused_one_by_one(
    database: Database, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    waiting, failed = rows[2]["id"], rows[3]["id"]
    done = _run(redrive, capsys, code=1, ids=[waiting, failed, failed])
    assert list(done["done"]) == [failed]
    assert "is pending; only failed" in done["refused"][waiting]
    # And when one of them is none, nothing is done at all
    before = _counts(database)
    with pytest.raises(NotFoundError, match="no dispatch has the id 'unknown'; nothing was done"):
        _run(redrive, capsys, ids=[rows[5]["id"], "unknown"])
    assert _counts(database) == before


def test_what_was_sent_is_not_cancelled_blindly(
    database: Database, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    # Without LiveKit's settings what was never sent can be cancelled
    assert len(_run(cancel, capsys, ids=[rows[2]["id"]])["done"]) == 1
    # What was sent cannot, unless the taking back is left to a running Usher
    with pytest.raises(SettingsError):
        _run(cancel, capsys, agent="even")
    assert _counts(database)["cancelled"] == 1
    # Of which a dry run says how much is left to it
    tried = _run(cancel, capsys, agent="even", database_only=True, dry_run=True)
    assert len(tried["left_over"]) == COUNT // 10
    assert "would stay at LiveKit until the sweep deletes it" in tried["left_over"][0]
    done = _run(cancel, capsys, agent="even", database_only=True)
    assert len(done["done"]) == 114
    assert len(done["left_over"]) == COUNT // 10
    assert "stays at LiveKit until the sweep deletes it" in done["left_over"][0]
    assert _counts(database) == {"failed": 115, "cancelled": 115}


def test_what_was_sent_in_a_removed_project_stays_at_livekit_as_the_dry_run_says(
    database: Database, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given settings with another project than the one of these dispatches, of which the first alone was sent
    for name, value in (("URL", "ws://127.0.0.1:9"), ("API_KEY", "key"), ("API_SECRET", "secret" * 6)):
        monkeypatch.setenv(f"LIVEKIT_{name}", value)
    database.execute("UPDATE dispatches SET project = 'gone'")
    sent, waiting = rows[0]["id"], rows[2]["id"]
    line = f"{sent} stays at LiveKit: project 'gone' is not configured here"
    # When it is tried and done, then both name what stays, and none leaves it to a sweep that will never come
    tried = _run(cancel, capsys, ids=[sent, waiting], dry_run=True)
    assert (list(tried["done"]), tried["left_over"]) == ([sent, waiting], [line])
    assert _run(cancel, capsys, ids=[sent], database_only=True)["left_over"] == [line]
    database.execute("UPDATE dispatches SET status = 'pending'")
    assert _run(cancel, capsys, ids=[sent, waiting])["left_over"] == [line]


def test_events_are_replayed_except_those_of_agents_and_of_ends(
    database: Database, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    left = event_row(at(999), type="participant_left", outcome="ignored", participant_identity="caller 1")
    agent = event_row(at(999), participant_kind="AGENT", outcome="ignored", participant_identity="caller 1")
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[left, agent])
    # Chosen by options, it is the callers' joins that are replayed
    done = _run(replay_, capsys, identity="caller 1", by="maria")
    assert list(done["done"]) == [rows[1]["event_id"]]
    (replayed,) = database.execute("SELECT * FROM events WHERE source = 'replay'")
    assert replayed["participant_identity"] == "caller 1"
    (made,) = database.execute("SELECT * FROM dispatches WHERE event_id = :id", id=replayed["id"])
    assert (made["status"], made["agent_name"]) == ("pending", "support-es")
    (line,) = database.execute("SELECT * FROM audit_log WHERE entity = 'event'")
    assert (line["entity_id"], line["changed_by"]) == (rows[1]["event_id"], "maria")
    # And the others are refused by name
    refused = _run(replay_, capsys, code=1, ids=[left["id"], agent["id"]])
    assert "reports an end" in refused["refused"][left["id"]]
    assert "is about an agent" in refused["refused"][agent["id"]]


def test_nothing_is_done_to_everything_by_mistake(
    database: Database, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = _counts(database)
    for command in (cancel, redrive, replay_):
        with pytest.raises(InvalidInputError, match="give ids, or select with options"):
            _run(command, capsys)
        with pytest.raises(InvalidInputError, match="not both"):
            _run(command, capsys, ids=[rows[0]["id"]], room="x")
    assert _counts(database) == before
