"""The database as commands use it: never created or migrated as a side effect; errors fit on one line."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.cli.remote.choice import chosen_server, require_no_server
from app.clock import Clock, SystemClock, date_ids_by
from app.db.database_clock import clock_of
from app.db.engine import (
    cause_in,
    create_reader_engine,
    create_writer_engine,
    is_embedded,
    parse_database_url,
    words_of,
)
from app.db.engine.sqlite_claim import require_not_lost
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError, SchemaMismatchError, WriteRefusedError
from app.livekit.participant.phone import use_phone_region
from app.settings import Settings, read_settings, shown_database_url
from app.webhook.name_digest import use_name_key

T = TypeVar("T")


@contextmanager
def reading(settings: Settings | None = None) -> Iterator[Connection]:
    """Yield a read-only connection to a database with the right schema; needs no LIVEKIT_* settings.

    Raises SchemaMismatchError, naming the command to run, and DatabaseUnavailableError.
    """
    url = database_url(settings)
    readers = _open(url)
    try:
        with database_errors(url), readers.connect() as connection:
            yield connection
    finally:
        readers.dispose()


def write(unit: Callable[[Connection], T], settings: Settings | None = None) -> T:
    """Return what `unit` returns once its transaction is committed."""
    url = database_url(settings)
    _open(url).dispose()
    return asyncio.run(_write(url, unit))


async def _write(url: URL, unit: Callable[[Connection], T]) -> T:
    writer = Writer(create_writer_engine(url))
    try:
        with database_errors(url):
            return await writer.run(unit)
    finally:
        await writer.close()


def database_url(settings: Settings | None = None) -> URL:
    """Return the URL of the database in the settings; InvalidInputError where `--server` names another installation."""
    require_no_server()
    chosen = settings or read_settings(without_livekit=True)
    use_phone_region(chosen.phone_region)
    use_name_key(chosen.hash_names_key.get_secret_value())
    return parse_database_url(chosen.database_url.get_secret_value())


def shared_clock() -> Clock:
    """Return the clock that servers of the database go by, which also dates new ids from now on.

    With PostgreSQL that is the database's: the machine of a command may show another time. With `--server` it is the
    machine's, because the server itself dates what it writes.
    """
    if chosen_server() is not None:
        return SystemClock()
    clock = _clock_at(database_url())
    date_ids_by(clock)
    return clock


@cache
def _clock_at(url: URL) -> Clock:
    """Return the clock of a database, which is compared once in a command: that takes a connection of its own."""
    engine = create_reader_engine(url)
    try:
        with database_errors(url):
            return clock_of(engine)
    finally:
        engine.dispose()


def require_database(url: URL) -> None:
    """Raise unless the database exists and has the schema of this version."""
    _open(url).dispose()


def _open(url: URL) -> Engine:
    if is_embedded(url) and url.database and not url.database.startswith("file:"):
        require_not_lost(url.database)
        if not Path(url.database).exists():
            raise SchemaMismatchError(
                f"there is no database at {url.database} yet (see DATABASE_URL); run: usher migrate up"
            )
    # Imported where it is needed: Alembic takes a sixth of the time that `usher rules check` does.
    from app.db.schema import require_compatible  # noqa: PLC0415

    readers = create_reader_engine(url)
    try:
        with database_errors(url), readers.connect() as connection:
            require_compatible(connection)
    except BaseException:
        readers.dispose()
        raise
    return readers


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Translate the driver's errors into one that names the database, without its password."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = cause_in(url, error)
        where = shown_database_url(url)
        raise DatabaseUnavailableError(f"the database {where} reports: {cause} (see DATABASE_URL)") from error
    except WriteRefusedError as error:
        # Its author reads it: that of a service's log leaves out what may quote rows.
        words = words_of(error.__cause__) if isinstance(error.__cause__, DBAPIError) else str(error)
        raise WriteRefusedError(f"the database {shown_database_url(url)} refuses the write: {words}") from error


def editor(by: str | None) -> str:
    """Return the name under which changes are recorded: `by`, else the user that runs the command."""
    if by and by.strip():
        return " ".join(by.split())[:200]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "cli"
