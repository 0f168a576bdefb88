"""What waits for the next statement on a connection to PostgreSQL, and connections that break."""

from __future__ import annotations

import contextlib
import logging
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.event import listen, remove
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import Pool

from app.db.audit_log import AuditEntry, append
from app.db.bulk_insert import insert_new_later, insert_unseen
from app.db.engine import execute_later
from app.db.engine.postgres.pipelined_connection import PipelinedConnection
from app.db.tables import audit_log, heartbeats
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError
from app.logs import configure_logs
from tests.conftest import Database
from tests.harness.ports import LOOPBACK
from tests.integration.accept.test_accept import post, webhook
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

NOW = datetime(2026, 11, 26, tzinfo=UTC)
PRESENT = select(heartbeats.c.replica).where(heartbeats.c.replica == bindparam("replica"))


class Traces:
    """What libpq says that it sends and gets."""

    def __init__(self) -> None:
        self._open: dict[int, Any] = {}
        self.found: list[bytes] = []

    def begin(self, driver: Any, *_: Any) -> None:
        self._open[id(driver)] = file = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        driver.pgconn.trace(file.fileno())

    def end(self, driver: Any, *_: Any) -> None:
        file = self._open.pop(id(driver), None)
        if file is not None:
            driver.pgconn.untrace()
            file.seek(0)
            self.found.append(file.read())
            file.close()


@contextlib.contextmanager
def traces() -> Iterator[Traces]:
    """Trace every use of a connection in this context."""
    traced = Traces()
    listen(Pool, "checkout", traced.begin)
    listen(Pool, "checkin", traced.end)
    try:
        yield traced
    finally:
        remove(Pool, "checkout", traced.begin)
        remove(Pool, "checkin", traced.end)


def round_trips(trace: bytes) -> int:
    """Return how often libpq sent something and then waited for the server."""
    directions = [fields[1] for fields in (line.split(b"\t") for line in trace.splitlines()) if len(fields) > 2]
    return sum(direction == b"F" for direction, _ in groupby(directions))


def beat(replica: str) -> dict[str, Any]:
    return {"component": "test", "replica": replica, "beat_at": NOW, "detail": {}}


def replicas(connection: Connection) -> list[str]:
    return list(connection.scalars(select(heartbeats.c.replica).order_by(heartbeats.c.replica)))


def test_rows_go_with_the_beginning_or_with_the_commit(postgres_database: Database) -> None:
    engine = postgres_database.writer_engine()
    with engine.connect():
        pass  # so that the connection is made
    with traces() as traced, engine.begin() as connection:
        assert replicas(connection) == []
        insert_new_later(connection, heartbeats, [beat("a"), beat("b")])
        append(connection, [AuditEntry("rule", "1", None, "on", "why", NOW)])
    with traces() as traced_without_a_question, engine.begin() as connection:
        append(connection, [AuditEntry("rule", "2", None, "on", "why", NOW)])
    assert [round_trips(trace) for trace in traced.found] == [3]  # a question without parameters goes by itself
    assert [round_trips(trace) for trace in traced_without_a_question.found] == [2]
    with engine.begin() as connection:
        assert replicas(connection) == ["a", "b"]
        assert connection.scalars(select(audit_log.c.entity_id)).all() == ["1", "2"]


async def test_a_unit_runs_once_if_its_connection_breaks_while_it_is_committed(postgres_database: Database) -> None:
    postgres_database.execute(
        "CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    postgres_database.execute(
        "CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON audit_log INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION break_off()"
    )
    runs = 0

    def add_line(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        append(connection, [AuditEntry("rule", "1", None, "on", "why", NOW)])  # and asks nothing

    writer = Writer(postgres_database.writer_engine())
    with pytest.raises(DatabaseUnavailableError):
        await writer.run(add_line)
    assert runs == 1
    await writer.close()


def test_a_result_fetched_in_parts_may_be_the_first_and_finds_what_waited(postgres_database: Database) -> None:
    in_parts = {"yield_per": 1}
    with postgres_database.writer_engine().begin() as connection:
        assert connection.execute(select(heartbeats.c.replica), execution_options=in_parts).all() == []
        insert_new_later(connection, heartbeats, [beat("a"), beat("b")])
        found = connection.execute(select(heartbeats.c.replica), execution_options=in_parts)
        assert sorted(found.scalars()) == ["a", "b"]


def test_the_next_statement_finds_what_waited(postgres_database: Database) -> None:
    with postgres_database.writer_engine().begin() as connection:
        insert_new_later(connection, heartbeats, [beat("a")])
        assert replicas(connection) == ["a"]
        insert_new_later(connection, heartbeats, [beat("b")])
        assert connection.execute(update(heartbeats).values(replica=heartbeats.c.replica + "!")).rowcount == 2
        insert_new_later(connection, heartbeats, [beat("c")])
        assert connection.exec_driver_sql("SELECT count(*) FROM heartbeats").scalar() == 3


def test_what_waits_is_forgotten_by_a_rollback(postgres_database: Database) -> None:
    engine = postgres_database.writer_engine()
    with engine.connect() as connection:
        insert_new_later(connection, heartbeats, [beat("a")])
        connection.rollback()
        insert_new_later(connection, heartbeats, [beat("b")])
        connection.commit()
        assert replicas(connection) == ["b"]
    with engine.connect() as connection:
        insert_new_later(connection, heartbeats, [beat("c")])  # and by the end of a connection
    with engine.connect() as connection:
        assert replicas(connection) == ["b"]


def test_a_commit_is_refused_if_what_waited_fails(postgres_database: Database) -> None:
    engine = postgres_database.writer_engine()

    def put_twice() -> None:
        with engine.begin() as connection:
            insert_unseen(connection, heartbeats, [beat("a")])
            insert_unseen(connection, heartbeats, [beat("a")])
            insert_new_later(connection, heartbeats, [beat("b")])

    with pytest.raises(IntegrityError, match="heartbeats"):
        put_twice()
    with engine.begin() as connection:
        assert replicas(connection) == []


def test_an_error_names_the_statements_that_waited(postgres_database: Database) -> None:
    engine = postgres_database.writer_engine()
    postgres_database.execute("ALTER TABLE heartbeats ADD CHECK (replica <> 'refused')")
    with engine.connect() as connection:
        insert_new_later(connection, heartbeats, [beat("refused")])
        with pytest.raises(IntegrityError, match=r"(?s)check constraint.*same message: INSERT INTO heartbeats.*SELECT"):
            replicas(connection)
        connection.rollback()
        insert_new_later(connection, heartbeats, [beat("refused")])
        with pytest.raises(IntegrityError, match=r"(?s)check constraint.*same message: INSERT INTO heartbeats"):
            connection.commit()


def test_a_connection_that_cannot_leave_its_pipeline_is_closed(
    postgres_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    engine = postgres_database.writer_engine()
    with engine.connect() as connection:
        # COPY has that effect each time; so has, now and then, a server that ends the session.
        execute_later(connection, "COPY heartbeats TO STDOUT", [()])
        with pytest.raises(DBAPIError, match="COPY cannot be used") as caught:
            connection.execute(PRESENT, {"replica": "a"})
    assert caught.value.connection_invalidated
    with engine.connect() as connection:
        assert replicas(connection) == []
    assert not caplog.records


@pytest.mark.parametrize("asks_before", [False, True])
def test_a_failed_commit_leaves_no_transaction(postgres_database: Database, asks_before: bool) -> None:
    engine = postgres_database.writer_engine()
    postgres_database.execute("ALTER TABLE heartbeats ADD CHECK (replica <> 'refused')")
    with engine.connect() as connection:
        if asks_before:
            assert replicas(connection) == []
        insert_new_later(connection, heartbeats, [beat("refused")])
        with pytest.raises(IntegrityError):
            connection.commit()
        assert connection.connection.dbapi_connection is not None
        assert connection.connection.dbapi_connection.info.transaction_status == TransactionStatus.IDLE


async def test_a_row_that_another_replica_inserted_meanwhile_is_seen_when_the_unit_runs_again(
    postgres_database: Database,
) -> None:
    seen: list[list[str]] = []

    def put_once(connection: Connection, items: Sequence[str]) -> Sequence[str]:
        seen.append(replicas(connection))
        if len(seen) == 1:
            insert = "INSERT INTO heartbeats (component, replica, beat_at, detail) VALUES ('test', 'a', now(), '{}')"
            postgres_database.execute(insert)
        insert_unseen(connection, heartbeats, [beat(item) for item in items if item not in seen[-1]])
        return items

    writer = Writer(postgres_database.writer_engine())
    assert await writer.run_batched(put_once, "a") == "a"
    assert seen == [[], ["a"]]
    await writer.close()


@in_virtual_time
async def test_a_join_takes_two_round_trips(postgres_database: Database) -> None:
    async with World(postgres_database) as world:
        world.rule()
        assert await post(world, webhook("participant_joined", "PA_1", "RM_1")) == 200  # brings the rule
        await world.wait(1)
        with traces() as traced:
            assert await post(world, webhook("participant_joined", "PA_2", "RM_2")) == 200
        assert [round_trips(trace) for trace in traced.found if b"PA_2" in trace] == [2]
        assert len(world.dispatches()) == 2


async def test_a_connection_that_broke_while_idle_leaves_no_line_in_the_log(
    postgres_database: Database, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for attribute, value in (("handlers", []), ("level", logging.INFO)):
        monkeypatch.setattr(logging.getLogger(), attribute, value)
    writer = Writer(postgres_database.writer_engine())
    pid = await writer.run(lambda connection: connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())
    postgres_database.execute("SELECT pg_terminate_backend(:pid, 5000)", pid=pid)
    configure_logs("json")
    assert await writer.run(replicas) == []
    await writer.close()
    assert capfd.readouterr().err == ""


_WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
_FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mgoing away\0\0"
_ENDED = b"E" + (4 + len(_FIELDS)).to_bytes(4, "big") + _FIELDS + b"Z\0\0\0\x05I"


def end_session(listening: socket.socket) -> None:
    """Play a server that ends the session at the first statement, and leaves the socket open."""
    client, _ = listening.accept()
    with client, contextlib.suppress(OSError):
        client.recv(4096)
        client.sendall(_WELCOME)
        client.recv(4096)
        client.sendall(_ENDED)
        client.recv(4096)


def test_an_ended_session_closes_the_connection_before_its_socket_is() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = threading.Thread(target=end_session, args=(listening,))
        server.start()
        port = listening.getsockname()[1]
        at = f"host={LOOPBACK} port={port} user=usher sslmode=disable gssencmode=disable"
        connection = PipelinedConnection.connect(at, autocommit=True)
        with pytest.raises(psycopg.errors.AdminShutdown, match="going away"):
            connection.execute("SELECT 1")
        assert connection.closed
        server.join()
