"""What errors of the database say: of rows nothing in the log, and everything to the author of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, insert
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from app.cli.rules.rules import app
from app.db.bulk_insert import insert_unseen
from app.db.tables import heartbeats, rule_editor
from app.db.transaction import as_refused
from app.db.writer import Writer
from app.errors import WriteRefusedError
from tests.conftest import Database

CALLER = "ana@example.com"
RULES = "rules: [{name: all, pattern: {event: [participant_joined]}, agent_name: a}]"
REFUSE = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION %s; END $$"
TRIGGER = "CREATE TRIGGER refuse BEFORE INSERT ON heartbeats FOR EACH ROW EXECUTE FUNCTION refuse()"
ON_POSTGRESQL: dict[str, tuple[list[str], str]] = {
    "a trigger": (
        [
            REFUSE % "'not %', NEW.replica",
            TRIGGER,
        ],
        "heartbeats: RaiseException (SQLSTATE P0001): function refuse()",
    ),
    "a trigger that takes the code of a constraint": (
        [
            REFUSE % "'not %', NEW.replica USING ERRCODE = 'check_violation', TABLE = 'heartbeats'",
            TRIGGER,
        ],
        "heartbeats: CheckViolation (SQLSTATE 23514): table heartbeats, function refuse()",
    ),
    "an index of an expression": (
        ["CREATE INDEX as_number ON heartbeats ((replica::integer))"],
        "heartbeats: InvalidTextRepresentation (SQLSTATE 22P02)",
    ),
    "a constraint": (
        ["ALTER TABLE heartbeats ADD CONSTRAINT short CHECK (length(replica) < 9)"],
        'heartbeats: new row for relation "heartbeats" violates check constraint "short" (23514)',
    ),
    "a unique index": (
        ["CREATE UNIQUE INDEX one_row ON heartbeats ((true))"],
        'heartbeats: duplicate key value violates unique constraint "one_row" (23505)',
    ),
}


def beat(replica: str) -> dict[str, object]:
    return {"component": "test", "replica": replica, "beat_at": datetime(2026, 11, 22, tzinfo=UTC), "detail": {}}


def insert_at_once(connection: Connection, table: Table, rows: Sequence[dict[str, object]]) -> None:
    connection.execute(insert(table), rows)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("what", ON_POSTGRESQL)
def test_an_error_names_what_refuses_a_row_and_nothing_of_the_row(
    postgres_database: Database, what: str, is_late: bool
) -> None:
    statements, said = ON_POSTGRESQL[what]
    for statement in statements:
        postgres_database.execute(statement)
    write = insert_unseen if is_late else insert_at_once
    with postgres_database.writer_engine().connect() as connection, pytest.raises(DBAPIError) as refused:  # noqa: PT012 - the row goes with the COMMIT
        if what == "a unique index":
            write(connection, heartbeats, [beat("1")])
        write(connection, heartbeats, [beat(CALLER)])
        connection.commit()
    assert CALLER not in str(refused.value)
    error = as_refused(refused.value)
    assert isinstance(error, WriteRefusedError)
    assert f"the database refuses the write: {said}; correct" in str(error)


async def test_a_refused_unit_gets_an_error_of_ours_and_others_are_committed(database: Database) -> None:
    database.execute("CREATE UNIQUE INDEX one_name ON rule_editor (name)")
    writer = Writer(database.writer_engine())
    try:
        await writer.run(lambda connection: connection.execute(insert(rule_editor).values(name="a")))
        with pytest.raises(WriteRefusedError, match="rule_editor"):
            await writer.run(lambda connection: connection.execute(insert(rule_editor).values(name="a")))
        await writer.run(lambda connection: connection.execute(insert(rule_editor).values(name="b")))
        assert writer.trouble() == ""
    finally:
        await writer.close()


def test_the_author_of_a_rule_reads_the_words_of_a_trigger(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.text)
    (tmp_path / "rules.yaml").write_text(RULES)
    if database.kind == "sqlite":
        database.execute(
            "CREATE TRIGGER freeze BEFORE INSERT ON routing_rules BEGIN SELECT RAISE(ABORT, 'no rules today'); END"
        )
    else:
        database.execute(REFUSE % "'no rules today'")
        database.execute(TRIGGER.replace("heartbeats", "routing_rules"))
    done = CliRunner().invoke(app, ["apply", str(tmp_path / "rules.yaml")])
    assert "the database refuses the rules: no rules today" in str(done.exception)
