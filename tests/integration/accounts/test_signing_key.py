"""The key that signs one-time links: of no use without USHER_SECRET_KEY where that is set."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from app.accounts.links import first_admin_code, require_first_admin
from app.accounts.signing_key import record_served_key, require_served_key, signing_key
from app.db.writer import Writer
from app.errors import ConflictError, NotFoundError
from tests.conftest import Database, StillClock

SECRET, OTHER = "a" * 32, "b" * 32


async def keys(database: Database, clock: StillClock, *secrets: str) -> list[str]:
    writer = Writer(database.writer_engine())

    def read(connection: Connection) -> list[str]:
        return [signing_key(connection, clock.now(), secret) for secret in secrets]

    try:
        return await writer.run(read)
    finally:
        await writer.close()


async def test_the_key_is_the_same_for_every_replica_with_the_same_secret(
    database: Database, clock: StillClock
) -> None:
    assert await keys(database, clock, "", SECRET, OTHER) == await keys(database, clock, "", SECRET, OTHER)
    assert len(set(await keys(database, clock, "", SECRET, OTHER))) == 3


@pytest.mark.parametrize("known", ["", OTHER])
async def test_a_link_made_from_a_copy_of_the_database_is_refused(
    database: Database, clock: StillClock, known: str
) -> None:
    (stored,) = [row["secret"] for row in database.execute("SELECT secret FROM signing_keys")] or await keys(
        database, clock, ""
    )
    forged, true = await keys(database, clock, known, SECRET)
    with database.reader_engine().connect() as connection:
        for key in (stored, forged):
            with pytest.raises(NotFoundError):
                require_first_admin(connection, true, first_admin_code(key, clock.now()), clock.now())
        require_first_admin(connection, true, first_admin_code(true, clock.now()), clock.now())


def test_a_command_without_the_secret_of_the_server_learns_that_its_links_would_be_refused(
    database: Database, clock: StillClock
) -> None:
    now, first, second = clock.now(), SECRET, OTHER
    with database.writer_engine().begin() as connection:
        # Before a server has run, every key may be the right one
        require_served_key(connection, signing_key(connection, now), has_secret=False)
        for served in (first, second, "", first):
            record_served_key(connection, now, signing_key(connection, now, served))
            require_served_key(connection, signing_key(connection, now, served), has_secret=bool(served))
            for other in {"", first, second} - {served}:
                with pytest.raises(ConflictError, match="another value" if other else "not set here"):
                    require_served_key(connection, signing_key(connection, now, other), has_secret=bool(other))
