"""`usher people`: export and erase what is stored about one person."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Annotated, Any, Protocol

import typer
from sqlalchemy import Connection

from app.accounts.reads import PersonalRead, list_reads, record_read
from app.audit import export_person, find_person, rows_about
from app.cli.calls.unknown_names import note_unknown_project
from app.cli.framework.database import (
    database_errors,
    database_url,
    editor,
    reading,
    require_database,
    shared_clock,
    write,
)
from app.cli.framework.moment import show_moment
from app.cli.framework.options import ByOption, DryRunOption, JsonOption, LimitOption, OutputOption
from app.cli.framework.terminal import complain, note, plain, require_consent, say, say_json, show, table, write_lines
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.cli.remote.server import Server
from app.db.engine import create_reader_engine, create_writer_engine
from app.db.writer import Writer
from app.errors import ConflictError, NotFoundError
from app.flows.erase.erase import Access, Erasure, erase_person
from app.settings import Settings, read_settings

app = typer.Typer(help="What is stored about one person: export it, erase it.", no_args_is_help=True)

_Person = Annotated[str, typer.Argument(metavar="PERSON", help="an identity, or a phone number in any spelling")]
_Project = Annotated[str | None, typer.Option("--project", help="only in this LiveKit project")]


@app.command()
@over_api
def export(
    person: _Person,
    *,
    project: _Project = None,
    output: OutputOption = None,
    _as_json: JsonOption = True,
) -> None:
    """Write everything that is stored about a person, always as JSON."""
    server = chosen_server()
    if server is not None:
        document = server.send("POST", "/people/export", {"person": person, "project": project})
    else:
        document = _export_here(person, project)
    os.umask(0o077)  # for the file's owner alone
    write_lines([json.dumps(document, indent=2, ensure_ascii=False) + "\n"], output)
    if output not in {None, "-"}:
        note(f"{len(document['events'])} events and {len(document['dispatches'])} dispatches written to {output}")


def _export_here(person: str, project: str | None) -> dict[str, Any]:
    now = shared_clock().now()
    with reading() as connection:
        found = find_person(connection, person, project)
        rows = rows_about(connection, found, now)
        document: dict[str, Any] = export_person(connection, found, rows, now)
    if rows.is_empty:
        note_unknown_project(project, None)
        raise NotFoundError(f"nothing is stored about {person}")
    settings = read_settings(without_livekit=True)
    if settings.reads_retention_days > 0:
        by = editor(None)
        record = {"user": by, "channel": "cli", "operation": "people export", "subject": person}
        write(lambda connection: record_read(connection, now, **record), settings)
    return document


@app.command()
@over_api
def reads(
    *,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="only by this user")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="only of this exact id, identity or number")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List which user read which call or person; recorded while USHER_READS_RETENTION_DAYS is set."""
    server = chosen_server()
    if server is not None:
        found = list(server.pages("/people/reads", {"user": user, "subject": subject}, PersonalRead, limit))
    else:
        with reading() as connection:
            found = list_reads(connection, user=user, subject=subject, limit=limit).items
    if as_json:
        say_json([one.to_json() for one in found])
        return
    if not found:
        say("no reads are recorded" + (" of that" if user or subject else "; see USHER_READS_RETENTION_DAYS"))
        return
    rows = table("when", "user", "asked for", "where")
    for one in found:
        where = f"{one.channel}: {one.operation}"
        rows.add_row(show_moment(one.read_at), plain(one.user_name), plain(one.subject or "the list"), plain(where))
    show(rows)


@app.command()
@over_api
def erase(
    person: _Person,
    *,
    project: _Project = None,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask for confirmation")] = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase a person: identity, names, numbers and metadata; counts and statistics stay true. There is no way back.

    Refused while the person is in a call. Exit 1 if nothing is stored and the project is unknown.
    """
    run = _eraser(editing_server(by), person, project, by)
    erasure = run(dry_run=True)
    if erasure.live_rooms and not dry_run:
        where = ", ".join(erasure.live_rooms)
        complain(f"this person is in a call now (room {where}); erase it when the call has ended")
        raise typer.Exit(1)
    is_known = erasure.events or erasure.dispatches or erasure.token_dispatches
    if not dry_run and is_known:
        if not yes:
            note(*_lines(erasure, "would be erased"))
            require_consent(f"Erase {person} for good?")
        try:
            erasure = run(dry_run=False)
        except ConflictError as error:  # a call has begun meanwhile
            complain(str(error))
            raise typer.Exit(1) from error
    if as_json:
        say_json(erasure.to_json())
    elif is_known:
        say(*_lines(erasure, "would be erased" if dry_run else "erased"))
    else:
        say(f"nothing is stored about {person}")
    if not is_known and note_unknown_project(project, chosen_server()):
        raise typer.Exit(1)  # a program must not take a misspelt project for one that has been cleaned


def _lines(erasure: Erasure, done: str) -> list[str]:
    lines = [
        f"{erasure.events} events, {erasure.dispatches} dispatches, {erasure.token_dispatches} promises {done}",
        f"names in {erasure.other_events} events and {erasure.other_dispatches} dispatches of the same rooms replaced",
    ]
    if erasure.rules:
        lines.append("rules that name the person stay: " + ", ".join(erasure.rules))
    if erasure.live_rooms:
        lines.append("in a call now, so it cannot be erased yet: " + ", ".join(erasure.live_rooms))
    return lines


class _Eraser(Protocol):
    def __call__(self, *, dry_run: bool) -> Erasure: ...


def _eraser(server: Server | None, person: str, project: str | None, by: str | None) -> _Eraser:
    """Return what erases the person, over the API or in the database."""

    def here(*, dry_run: bool) -> Erasure:
        settings = read_settings(without_livekit=True)
        return asyncio.run(_erase(settings, person, project, editor(by), dry_run=dry_run))

    if server is None:
        return here

    def over_the_api(*, dry_run: bool) -> Erasure:
        order = {"person": person, "project": project, "dry_run": dry_run}
        return Erasure.from_json(server.send("POST", "/people/erase", order))

    return over_the_api


async def _erase(settings: Settings, person: str, project: str | None, by: str, *, dry_run: bool) -> Erasure:
    url = database_url(settings)
    require_database(url)
    readers, writer = create_reader_engine(url), Writer(create_writer_engine(url))

    async def read(load: Callable[[Connection], Any]) -> Any:
        with readers.connect() as connection:
            return load(connection)

    try:
        with database_errors(url):
            now = shared_clock().now()
            access = Access(read, writer.run)
            return await erase_person(access, person, by=by, now=now, project=project, dry_run=dry_run)
    finally:
        await writer.close()
        readers.dispose()
