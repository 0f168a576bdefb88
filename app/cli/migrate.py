"""`usher migrate`: the database schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from alembic.util import CommandError
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.db import schema
from app.db.engine import create_reader_engine, parse_database_url
from app.errors import DatabaseUnavailableError, SchemaMismatchError
from app.settings import read_settings, shown_database_url

app = typer.Typer(help="Upgrade, downgrade or check the database schema.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Upgrade the schema to the version that this Usher needs."""
    url = _database_url()
    _guard(url, lambda: schema.upgrade(url))
    typer.echo(f"schema is at {schema.latest_revision()}")


@app.command()
def down(
    revision: Annotated[str, typer.Argument(help="a revision, -1 for one step, base to remove everything")] = "-1",
) -> None:
    """Downgrade the schema; tables that a revision created are dropped with their content."""
    url = _database_url()
    _guard(url, lambda: schema.downgrade(url, revision))
    typer.echo(f"schema is at {revision}")


@app.command()
def check() -> None:
    """Check that the schema is the one that this Usher needs; exit 1 if not."""
    url = _database_url()
    readers = create_reader_engine(url)

    def require() -> None:
        with readers.connect() as connection:
            schema.require_current(connection)

    try:
        _guard(url, require)
    except SchemaMismatchError as error:
        typer.echo(str(error))
        raise typer.Exit(1) from error
    finally:
        readers.dispose()
    typer.echo(f"schema is at {schema.latest_revision()}")


def _database_url() -> URL:
    settings = read_settings(without_livekit=True)
    return parse_database_url(settings.database_url.get_secret_value())


def _guard(url: URL, action: Callable[[], None]) -> None:
    try:
        action()
    except (SQLAlchemyError, CommandError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        where = shown_database_url(url)
        raise DatabaseUnavailableError(f"the database {where} reports: {cause}") from error
