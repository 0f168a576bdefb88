"""A database that refuses rows for good: 503, one line each, not ready; well again by itself once that is corrected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.database.lone_usher import LoneUsher
from tests.conftest import Database as MigratedDatabase
from tests.harness.polling import eventually

WITHIN_S = 15
CALLER = "ana@example.com"

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not for %', NEW.body; END $$
"""
POSTGRESQL: dict[str, tuple[list[str], list[str], list[str]]] = {
    "a trigger of the operator": (
        [
            REFUSE,
            "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()",
        ],
        ["DROP TRIGGER refuse ON events"],
        ["events", "P0001", "function refuse()"],
    ),
    "a constraint": (
        ["ALTER TABLE events ADD CONSTRAINT nothing CHECK (false) NOT VALID"],
        ["ALTER TABLE events DROP CONSTRAINT nothing"],
        ['"events"', '"nothing"', "23514"],
    ),
    "an index": (
        ["CREATE INDEX as_number ON events ((room_name::integer))"],
        ["DROP INDEX as_number"],
        ["events", "22P02"],
    ),
}


class Story(LoneUsher):
    """Webhooks of several rooms, to a database that refuses rows."""

    def post(self, number: int) -> tuple[int, Any, Any]:
        room = {"sid": f"RM_{number}", "name": f"room-{number}-{CALLER}"}
        participant = {"sid": f"PA_{number}", "identity": CALLER, "state": "ACTIVE"}
        return self.usher.post_webhook("participant_joined", f"EV_{number}", room=room, participant=participant)

    def judge(self, spoil: Callable[[], object], mend: Callable[[], object], named: list[str]) -> None:
        """Run the story: it works, rows are refused and Usher says so, it works again."""
        self.usher.start()
        self.usher.await_ready()

        # When the database refuses what is written
        spoil()
        lines = self.usher.log_size()
        answers = [self.post(number) for number in range(5)]

        # Then LiveKit is told to send it again, in Usher's own form of errors
        for status, headers, body in answers:
            assert status == 503
            assert headers["content-type"] == "application/problem+json"
            assert headers["retry-after"] == "1"
            assert "the database refuses the write" in json.loads(body)["detail"]

        # And readiness is lost, with the reason
        status, database = self.readiness()
        assert (status, database["status"]) == (503, "unwritable")

        # And there is one line for each, which says what refuses it, and nothing of the caller
        log = self.usher.log_text(since=lines)
        refused = [json.loads(line) for line in log.splitlines() if '"webhook not accepted"' in line]
        assert len(refused) == len(answers)
        for text in (*named, "correct or drop"):
            assert text in refused[0]["detail"]
            assert text in database["detail"]
        assert "Traceback" not in log
        assert '"exception"' not in log
        assert CALLER not in log

        # And once that is corrected, nothing has to be restarted
        mend()
        assert [self.post(number)[0] for number in range(5)] == [200] * 5
        eventually(lambda: self.readiness()[0] == 200, within=WITHIN_S, what="/readyz answers 200")


@pytest.mark.parametrize("what", POSTGRESQL)
def test_postgresql_refuses(postgres_database: MigratedDatabase, tmp_path: Path, what: str) -> None:
    spoil, mend, named = POSTGRESQL[what]
    story = Story(tmp_path, postgres_database.text)

    def run(statements: list[str]) -> None:
        for statement in statements:
            postgres_database.execute(statement)

    try:
        story.judge(lambda: run(spoil), lambda: run(mend), named)
    finally:
        story.usher.stop()


def test_sqlite_refuses(tmp_path: Path) -> None:
    story = Story(tmp_path, f"sqlite:///{tmp_path}/usher.db")
    trigger = "CREATE TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'closed on Sundays'); END"
    try:
        story.judge(
            lambda: story.database.change(trigger),
            lambda: story.database.change("DROP TRIGGER refuse"),
            ["events", "closed on Sundays", "SQLITE_CONSTRAINT_TRIGGER"],
        )
    finally:
        story.usher.stop()
