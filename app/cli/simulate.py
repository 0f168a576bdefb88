"""`usher simulate`: a draft of the rules over traffic that has been."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from app.cli.database import reading
from app.cli.options import JsonOption, period
from app.cli.rules_file import read_file
from app.cli.terminal import plain, progress, say_json, show, table
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.rules.editing.stored_rules import read_rules
from app.rules.simulation.simulate import Effect, Group, Simulation, draft_rows, simulate
from app.rules.simulation.traffic import count_traffic, read_traffic
from app.settings import read_settings

_WORDS = {
    Effect.OTHER_AGENT: ("another agent", "yellow"),
    Effect.NO_AGENT: ("no agent any more", "bold red"),
    Effect.NEW_AGENT: ("an agent, where none came", "green"),
    Effect.OTHER_DATA: ("the same agent, told something else", "cyan"),
}


def simulate_(
    draft: Annotated[str, typer.Argument(metavar="DRAFT", help="a rules file, YAML or JSON; - for standard input")],
    *,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="24h, 7d, 14:02, 2026-11-22T14:02")] = "24h",
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="likewise")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="as if rules that are not in the file were deleted")] = False,
    against_then: Annotated[
        bool, typer.Option("--against-then", help="compare with what was done then, not with what the rules of now do")
    ] = False,
    examples: Annotated[int, typer.Option("--examples", min=0, max=100, help="for each group of events")] = 3,
    fail_on_change: Annotated[
        bool, typer.Option("--fail-on-change", help="exit 1 when anybody would be served otherwise")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show who of those who called would get another agent, who none, and who a new one, if DRAFT were applied."""
    wanted = read_file(draft).rules
    begin, end = period(since, until)
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        book = RuleBook.build(draft_rows(read_rules(connection), wanted, delete=delete), 0)
        current = None if against_then else read_book(connection)
        if begin is None:
            raise AssertionError("--since has a default")
        with progress("events", count_traffic(connection, begin, end)) as report:
            outcome = simulate(
                book,
                read_traffic(connection, begin, end),
                current=current,
                most_examples=examples,
                metadata_max_bytes=settings.metadata_max_bytes,
                progress=report,
            )
    if as_json:
        say_json(outcome.to_json())
    else:
        show(*_view(outcome))
    if fail_on_change and outcome.changes:
        raise typer.Exit(1)


def _view(outcome: Simulation) -> Iterator[RenderableType]:
    if not outcome.events:
        yield Text("No event is stored of that time.", "yellow")
        return
    same = outcome.effects[Effect.SAME]
    yield Text.assemble(
        (f"{outcome.events} events, {outcome.changes} would be served otherwise, {same} as before", "bold")
    )
    for effect, (words, style) in _WORDS.items():
        count = outcome.effects[effect]
        if not count:
            continue
        yield ""
        yield plain(f"{count}: {words}", style)
        for group in outcome.groups:
            if group.effect is effect:
                yield from _group_view(group)


def _group_view(group: Group) -> Iterator[RenderableType]:
    before, after = (", ".join(agents) or "nobody" for agents in (group.agents_before, group.agents_after))
    yield plain(f"  {group.events}: {before} → {after}")
    rows = table("", "event / who", "why", narrow=("",))
    for one in group.examples:
        who = plain(one.event_id, "dim").append("\n")
        who.append_text(plain(f"{one.participant_identity or '-'} in {one.room_name}"))
        rows.add_row("  ", who, plain(one.why, "dim"))
    if group.examples:
        rows.show_header = False
        yield rows
