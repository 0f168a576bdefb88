"""`usher simulate`: a draft of the rules on past traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from app.cli.calls.filter_options import period
from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import plain, progress, say_json, show, table
from app.cli.remote import rules as remote
from app.cli.remote.choice import chosen_server, over_api, refuse_with_server
from app.cli.rules.rules_file import read_file
from app.clock import SystemClock
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.rules.editing.stored_rules import read_rules
from app.rules.simulation.simulate import Effect, Group, Simulation, draft_rows, simulate
from app.rules.simulation.traffic import count_traffic, read_traffic
from app.settings import read_settings

_WORDS = {
    Effect.OTHER_AGENT: ("another agent", "yellow"),
    Effect.NO_AGENT: ("no agent", "bold red"),
    Effect.NEW_AGENT: ("an agent instead of none", "green"),
    Effect.OTHER_ACTION: ("another action", "yellow"),
    Effect.OTHER_DATA: ("the same agent with other metadata", "cyan"),
}


@over_api
def simulate_(
    draft: Annotated[str, typer.Argument(metavar="DRAFT", help="a rules file, YAML or JSON; - for standard input")],
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="not before: 24h, 7d, 14:02, 2026-11-22T14:02")
    ] = "24h",
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="before: as for --since")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="as if rules that are not in the file were deleted")] = False,
    against_then: Annotated[
        bool,
        typer.Option("--against-then", help="compare with the past decisions, not with those of the current rules"),
    ] = False,
    examples: Annotated[int, typer.Option("--examples", min=0, max=100, help="examples for each group of events")] = 3,
    fail_on_change: Annotated[
        bool, typer.Option("--fail-on-change", help="exit 1 if the result differs for any event")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show which past callers would get another agent, none, or a new one if DRAFT were applied."""
    wanted = read_file(draft).rules
    begin, end = period(since, until)
    if begin is None:
        raise AssertionError("--since has a default")
    server = chosen_server()
    if server is not None:
        refuse_with_server(until=until, against_then=against_then)
        outcome = remote.simulate(server, wanted, delete=delete, begin=begin, now=SystemClock().now())
    else:
        outcome = _simulate_here(wanted, begin, end, delete=delete, against_then=against_then, examples=examples)
    if as_json:
        say_json(outcome.to_json())
    else:
        show(*_view(outcome, examples))
    if fail_on_change and outcome.changes:
        raise typer.Exit(1)


def _simulate_here(
    wanted: Sequence[Mapping[str, Any]],
    begin: datetime,
    end: datetime | None,
    *,
    delete: bool,
    against_then: bool,
    examples: int,
) -> Simulation:
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        book = RuleBook.build(draft_rows(read_rules(connection), wanted, delete=delete), 0)
        current = None if against_then else read_book(connection)
        with progress("events", count_traffic(connection, begin, end)) as report:
            return simulate(
                book,
                read_traffic(connection, begin, end),
                current=current,
                most_examples=examples,
                metadata_max_bytes=settings.metadata_max_bytes,
                progress=report,
            )


def _view(outcome: Simulation, examples: int) -> Iterator[RenderableType]:
    if outcome.without_body:
        yield Text(
            f"{outcome.without_body} further events cannot be tried: "
            "their bodies were dropped after USHER_RETENTION_BODIES_DAYS.",
            "yellow",
        )
    if not outcome.events:
        yield Text("No events to try are stored for that time.", "yellow")
        return
    same = outcome.effects[Effect.SAME]
    yield Text.assemble(
        (f"{outcome.events} events, {outcome.changes} would be served differently, {same} as before", "bold")
    )
    for effect, (words, style) in _WORDS.items():
        count = outcome.effects[effect]
        if not count:
            continue
        yield ""
        yield plain(f"{count}: {words}", style)
        for group in outcome.groups:
            if group.effect is effect:
                yield from _group_view(group, examples)


def _group_view(group: Group, examples: int) -> Iterator[RenderableType]:
    sides = (group.agents_before + group.actions_before, group.agents_after + group.actions_after)
    before, after = (", ".join(agents) or "none" for agents in sides)
    yield plain(f"  {group.events}: {before} → {after}")
    rows = table("", "event / caller", "why", narrow=("",))
    for one in group.examples[:examples]:
        who = plain(one.event_id, "dim").append("\n")
        who.append_text(plain(f"{one.participant_identity or '-'} in {one.room_name}"))
        rows.add_row("  ", who, plain(one.why, "dim"))
    if group.examples[:examples]:
        rows.show_header = False
        yield rows
