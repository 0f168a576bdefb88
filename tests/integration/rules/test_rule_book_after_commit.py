"""The rule book in memory holds committed edits only, whatever shares a transaction that is rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError

from app.clock import new_id
from app.db.types import EventOutcome, EventSource
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError
from app.flows.context import Context
from app.flows.lookup.ask import LookupAsker
from app.flows.lookup.http_client import HttpLookupClient
from app.flows.messages.senders import RealSenders
from app.flows.orchestrator import Orchestrator
from app.metrics import Metrics
from app.rules.book.read_book import follow, read_book
from app.settings import read_settings
from app.webhook.event import Event
from app.webhook.parse import build_event
from tests.conftest import Database, StillClock

INSERT = "INSERT INTO routing_rules (name, pattern, agent_name) VALUES (:name, :pattern, 'greeter')"
EVERYBODY = '{"event": ["participant_joined"]}'
NOBODY = '{"room": {"name": ["none has this name"]}}'


def edit(connection: Connection) -> None:
    connection.execute(text(INSERT), {"name": "rolled back", "pattern": EVERYBODY})


def join(clock: StillClock, identity: str) -> Event:
    content: dict[str, Any] = {
        "event": "participant_joined",
        "room": {"name": "room", "sid": "RM_1"},
        "participant": {"identity": identity, "sid": f"PA_{identity}", "state": "ACTIVE"},
    }
    return build_event(
        content, project="default", source=EventSource.WEBHOOK, received_at=clock.now(), event_id=new_id()
    )


@contextmanager
def failing_commit(database: Database, engine: Engine) -> Iterator[None]:
    """Let the next commit fail as when the connection is lost; what waits for it shares one transaction, in order."""
    lost = OperationalError("COMMIT", {}, Exception("connection lost"))

    def fail(connection: Connection) -> None:
        event.remove(engine, "commit", fail)
        connection.connection.rollback()
        raise lost

    other = database.writer_engine().connect()
    if database.kind == "sqlite":  # so that the writer leaves nothing to the event loop
        other.begin()
    event.listen(engine, "commit", fail)
    asyncio.get_running_loop().call_later(0.2, other.close)
    yield


@contextmanager
def usher(database: Database, clock: StillClock) -> Iterator[tuple[Orchestrator, Engine]]:
    settings = read_settings(
        {
            "LIVEKIT_URL": "ws://livekit.test",
            "LIVEKIT_API_KEY": "key",
            "LIVEKIT_API_SECRET": "a secret that is long enough to sign",
            "DATABASE_URL": database.text,
        }
    )
    engine = database.writer_engine()
    with database.reader_engine().connect() as connection:
        book = read_book(connection)
    context = Context(settings, Writer(engine), {}, Metrics(), clock, "replica")
    asker = LookupAsker(HttpLookupClient(), {}, context.metrics, clock)
    yield Orchestrator(context, book, asker, RealSenders(clock)), engine


async def test_an_edit_that_was_rolled_back_is_not_in_the_book(database: Database, clock: StillClock) -> None:
    with usher(database, clock) as (orchestrator, engine):
        writer = orchestrator.context.writer
        # Given an edit and a join that share a transaction, which is lost at its commit
        with failing_commit(database, engine):
            results = await asyncio.gather(
                writer.run(edit), orchestrator.acceptor.accept(join(clock, "ana")), return_exceptions=True
            )
        assert [type(one) for one in results] == [DatabaseUnavailableError] * 2
        assert database.execute("SELECT * FROM routing_rules") == []
        # When another edit is committed
        database.execute(INSERT, name="committed", pattern=NOBODY)
        # Then the next join finds that rule alone
        acceptance = await orchestrator.acceptor.accept(join(clock, "bob"))
        assert [rule.name for rule in orchestrator.book.rules] == ["committed"]
        assert acceptance.outcome is EventOutcome.NO_MATCH
        await writer.close()


async def test_a_redrive_keeps_no_book_of_its_transaction(database: Database, clock: StillClock) -> None:
    with usher(database, clock) as (orchestrator, engine):
        # Given a dispatch that was cancelled
        database.execute(INSERT, name="all", pattern=EVERYBODY)
        await orchestrator.acceptor.accept(join(clock, "ana"))
        (row,) = database.execute("SELECT id FROM dispatches")
        await orchestrator.operations.cancel([row["id"]], "maria")
        # And an edit and a redrive of it that share a transaction, which is lost at its commit
        with failing_commit(database, engine):
            results = await asyncio.gather(
                orchestrator.context.writer.run(edit),
                orchestrator.operations.redrive([row["id"]], "maria"),
                return_exceptions=True,
            )
        assert [type(one) for one in results] == [DatabaseUnavailableError] * 2
        # When another edit is committed
        database.execute(INSERT, name="committed", pattern=NOBODY)
        # Then a book that follows the one in use has no other
        with database.reader_engine().connect() as connection:
            book = follow(connection, orchestrator.book)
        assert [rule.name for rule in book.rules] == ["all", "committed"]
        await orchestrator.context.writer.close()
