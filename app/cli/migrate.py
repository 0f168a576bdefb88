"""`usher migrate`: the database schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
from alembic.util import CommandError
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.cli.framework.exclusive import without_server
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import require_consent, say_json
from app.cli.remote.choice import require_no_server
from app.db import schema
from app.db.engine import cause_in, create_reader_engine, is_embedded, parse_database_url
from app.db.engine.sqlite_claim import require_not_lost
from app.db.migration.loss import Downgrade, plan_downgrade
from app.errors import DatabaseUnavailableError, InvalidInputError, Problem, SchemaMismatchError
from app.settings import read_settings, shown_database_url

T = TypeVar("T")

app = typer.Typer(help="Upgrade, downgrade or check the database schema.", no_args_is_help=True)


@app.command()
def up() -> None:
    """Upgrade the schema to the version that this Usher needs."""
    url = _database_url()
    if is_embedded(url):
        require_not_lost(url.database or "")
    _guard(url, lambda: schema.upgrade(url))
    typer.echo(_guard(url, lambda: _described(url)))


@app.command()
def down(
    revision: Annotated[
        str, typer.Argument(metavar="[REVISION]", help="a revision, -1 for one step, base to remove everything")
    ] = "-1",
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Downgrade the schema: says what would be lost, and asks; refused while a server runs with the database.

    Take a backup first: usher backup FILE.
    """
    url = _database_url()
    plan = _guard(url, lambda: _plan(url, revision))
    typer.echo(f"from revision {plan.before} to {plan.after}")
    if plan.losses:
        typer.echo("dropped, with what is in it:")
        for loss in plan.losses:
            typer.echo(f"  {loss}")
    else:
        typer.echo("no table and no column is dropped")
    with without_server(url, "downgrade"):
        if not yes:
            require_consent("Downgrade?")
        _guard(url, lambda: schema.downgrade(url, revision))
    typer.echo(_guard(url, lambda: _described(url)))


def _plan(url: URL, revision: str) -> Downgrade:
    readers = create_reader_engine(url)
    try:
        with readers.connect() as connection:
            return plan_downgrade(connection, revision)
    except CommandError as error:
        problem = Problem("REVISION", f"cannot be reached by a downgrade: {error}", revision)
        raise InvalidInputError("usage", [problem]) from error
    finally:
        readers.dispose()


@app.command()
def check(*, as_json: JsonOption = False) -> None:
    """Check that the schema is one that this Usher works with; exit 1 if not."""
    url = _database_url()
    try:
        text, fits = _guard(url, lambda: _described(url, check=True)), True
    except SchemaMismatchError as error:
        text, fits = str(error), False
    if as_json:
        say_json({"fits": fits, "needed": schema.latest_revision(), "detail": text})
    else:
        typer.echo(text)
    if not fits:
        raise typer.Exit(1)


def _described(url: URL, *, check: bool = False) -> str:
    readers = create_reader_engine(url)
    try:
        with readers.connect() as connection:
            if check:
                schema.require_compatible(connection)
            return schema.describe(connection)
    finally:
        readers.dispose()


def _database_url() -> URL:
    require_no_server()
    settings = read_settings(without_livekit=True)
    return parse_database_url(settings.database_url.get_secret_value())


def _guard(url: URL, action: Callable[[], T]) -> T:
    try:
        return action()
    except (SQLAlchemyError, CommandError) as error:
        cause = cause_in(url, error)
        where = shown_database_url(url)
        raise DatabaseUnavailableError(f"the database {where} reports: {cause}") from error
