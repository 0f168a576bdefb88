"""`usher lookups`: list the lookups, and ask one about an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from app.cli.framework.database import reading
from app.cli.framework.known_projects import configured_projects, projects_over_api, settings_of_projects
from app.cli.framework.options import FileProjectOption, JsonOption
from app.cli.framework.terminal import note, plain, say, say_json, show, table
from app.cli.remote import lookups as remote
from app.cli.remote.choice import chosen_server, over_api
from app.cli.rules.rule_trial import event_in_file
from app.clock import SystemClock
from app.errors import InvalidInputError
from app.flows.lookup.ask import LookupAsker
from app.flows.lookup.http_client import HttpLookupClient
from app.livekit.participant.phone import use_phone_region
from app.metrics import Metrics
from app.rules.lookups.edit_lookup import StoredLookup, list_stored_lookups, read_stored_lookup
from app.rules.lookups.lookup_book import Lookup
from app.settings import process_environment
from app.webhook.event import Event
from app.webhook.event_store import stored_event
from app.webhook.lookup_answers import AnswerStatus

app = typer.Typer(help="Questions to your own systems before rules are evaluated.", no_args_is_help=True)


@app.command("list")
@over_api
def list_(*, as_json: JsonOption = False) -> None:
    """List the lookups, with what keeps one from being asked."""
    server = chosen_server()
    if server is not None:
        stored = remote.list_lookups(server)
    else:
        with reading() as connection:
            stored = list_stored_lookups(connection)
    if as_json:
        say_json([{**one.to_json(), "problems": [str(problem) for problem in one.problems]} for one in stored])
        return
    if not stored:
        say("No lookups. Add one with SQL, a rules file, the console or PUT /api/v1/lookups/NAME.")
        return
    show(_table(stored))
    bad = sum(bool(one.problems) for one in stored)
    note(f"{len(stored)} lookups" + (f", {bad} cannot be used" if bad else ""))


def _table(stored: list[StoredLookup]) -> RenderableType:
    lookups = table("lookup / url", "pattern")
    for one in stored:
        enabled = one.row["enabled"] is True
        name = plain(one.name, "bold red" if one.problems else "" if enabled else "dim")
        name.append("\n").append_text(plain(str(one.row["url"]), "dim"))
        marks = [f"at most {one.row['timeout_ms']} ms"]
        marks += [f"kept {one.row['cache_s']} s"] if one.row["cache_s"] else []
        marks += [] if enabled else ["disabled"]
        marks += ["cannot be used"] if one.problems else []
        name.append("\n").append_text(plain(", ".join(marks), "yellow" if one.problems or not enabled else "dim"))
        pattern = plain(json.dumps(one.row["pattern"], ensure_ascii=False)[:300])
        for problem in one.problems:
            pattern.append("\n").append_text(plain(str(problem), "red"))
        lookups.add_row(name, pattern)
    return lookups


@app.command("test")
@over_api
def try_(
    name: Annotated[str, typer.Argument(metavar="LOOKUP", help="the name of a lookup")],
    *,
    event: Annotated[
        str,
        typer.Option("--event", metavar="FILE", help="a webhook body in JSON, - for standard input; or an event id"),
    ],
    project: FileProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a lookup about an event from this machine, and show the answer; exit 1 if there is none."""
    settings = settings_of_projects()
    use_phone_region(settings.phone_region)
    server = chosen_server()
    if server is not None:
        asked = event_in_file(event, project, settings, lambda: projects_over_api(server))
        stored = remote.read_lookup(server, name)
        tested = remote.ask_lookup(server, name, asked or event)
    else:
        with reading(settings) as connection:
            asked = event_in_file(event, project, settings, lambda: configured_projects(settings, connection))
            stored = read_stored_lookup(connection, name)
            asked = asked or stored_event(connection, event)
        if stored.usable is None:
            raise InvalidInputError(f"lookup {name!r} cannot be used", list(stored.problems))
        tested = asyncio.run(_ask(stored.usable, asked))
    if as_json:
        say_json({"lookup": name, **tested})
    else:
        who = (asked.participant_identity or asked.room_name) if asked else f"event {event}"
        show(*_view(stored, who, tested))
    if tested["status"] != AnswerStatus.OK:
        raise typer.Exit(1)


async def _ask(lookup: Lookup, event: Event) -> dict[str, Any]:
    asker = LookupAsker(HttpLookupClient(), process_environment(), Metrics(), SystemClock())
    try:
        return await asker.test(lookup, event)
    finally:
        await asker.close()


def _view(lookup: StoredLookup, who: str, tested: dict[str, Any]) -> Iterator[RenderableType]:
    answered = tested["status"] == AnswerStatus.OK
    yield Text.assemble(
        (f"{tested['status']} ", "bold green" if answered else "bold red"),
        plain(f"lookup {lookup.name!r} about {who}, after {tested['seconds'] * 1000:.0f} ms"),
    )
    if tested["error"]:
        yield plain(f"   {tested['error']}", "bold red")
    words = "answer" if answered else "in its place"
    yield plain(f"   {words}: {json.dumps(tested['answer'], ensure_ascii=False)}")
    if not tested["matches"]:
        yield plain("   it would not be asked: this is no join, or its pattern does not match", "yellow")
    if lookup.row["enabled"] is not True:
        yield plain("   it is disabled", "yellow")
