"""`usher backup` and `usher restore`: a copy of the database in one file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.engine import URL

from app.cli.framework.database import database_url
from app.cli.framework.exclusive import without_server
from app.cli.framework.terminal import progress, require_consent, say
from app.db import schema
from app.db.engine import is_embedded
from app.db.engine.sqlite_backup import copy_database, has_users, replace_database, require_usable
from app.db.engine.sqlite_claim import note_users
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem, UsherError

_File = Annotated[Path, typer.Argument(metavar="FILE", help="the backup", show_default=False)]


class OtherToolError(UsherError):
    """PostgreSQL has tools of its own for this."""


def backup(
    file: _File,
    *,
    force: Annotated[bool, typer.Option("--force", help="overwrite FILE")] = False,
) -> None:
    """Copy the SQLite database into FILE, also while `usher serve` runs; the copy is consistent and checked.

    The copy is as secret as the database: it holds callers' data, password hashes and the key of sessions.
    """
    if str(file) == "-":
        raise InvalidInputError(
            "usage", [Problem("FILE", "must be the path of a file: the copy is read again to check it")]
        )
    url = database_url()
    if not is_embedded(url):
        command = ["pg_dump", "--format=custom", f"--file={file}", f"--dbname={_libpq(url)}"]
        raise OtherToolError(
            f"PostgreSQL is backed up with its own tool; run:\n  {shlex.join(command)}{_password(url)}"
        )
    database = Path(url.database or "")
    if not database.exists():
        raise NotFoundError(f"there is no database at {database} (see DATABASE_URL)")
    file = Path(os.path.realpath(file))  # a link stays one, to the new copy
    if file.exists() and not file.is_file():
        raise InvalidInputError("usage", [Problem("FILE", f"{file} is no regular file; name one")])
    if file.exists() and not force:
        raise InvalidInputError("usage", [Problem("FILE", f"{file} exists; name another, or use --force")])
    if file.exists() and file.samefile(database):
        raise InvalidInputError("usage", [Problem("FILE", f"{file} is the database itself")])
    with progress("copying") as report:
        copy_database(database, file, lambda done, _: report(done))
    revision = require_usable(file)
    say(f"copied {database} to {file}: {file.stat().st_size:,} bytes, schema {revision}")


def restore(
    file: _File,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Put the backup in FILE in the place of the SQLite database; refused while `usher serve` runs.

    The database before is kept beside it, under a name that is printed. What LiveKit did since the backup is found by
    the next sweep.
    """
    url = database_url()
    if not is_embedded(url):
        command = ["pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={_libpq(url)}", str(file)]
        raise OtherToolError(
            f"PostgreSQL is restored with its own tool; stop every usher serve, then run:\n"
            f"  {shlex.join(command)}{_password(url)}"
        )
    if not file.is_file():
        raise NotFoundError(f"there is no file {file}")
    database = Path(os.path.realpath(url.database or ""))
    if database.exists() and file.samefile(database):
        raise InvalidInputError("usage", [Problem("FILE", f"{file} is the database itself")])
    revision = require_usable(file)
    if not schema.is_usable(url.set(database=str(file.resolve()))):
        raise ConflictError(f"{file} has the schema {revision}, which is newer than this Usher works with")
    with without_server(url, "restore"):
        if database.exists() and not yes:
            require_consent(f"Replace {database}?")
        incoming = database.with_name(f"{database.name}.restoring")
        copy_database(file, incoming)
        if has_users(incoming):  # before a server starts
            note_users(str(database))
        aside = replace_database(database, incoming)
    say(f"restored {database} from {file}, schema {revision}")
    if aside is not None:
        say(f"the database before is {aside}")
    if revision != schema.latest_revision():
        say("it is of another version; usher serve migrates it, or run: usher migrate up")


def _libpq(url: URL) -> str:
    """Return the URL for PostgreSQL's tools, without its password."""
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    return shown.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=False)


def _password(url: URL) -> str:
    return "\nThe password is asked for, or taken from PGPASSWORD or ~/.pgpass." if url.password else ""
