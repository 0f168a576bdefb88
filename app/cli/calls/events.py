"""`usher events`: list, show, export and replay stored events."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from app.audit import (
    CALLER_OUTCOMES,
    CallSteps,
    EventFilter,
    EventSummary,
    ExportFormat,
    export_events,
    get_event,
    iterate_events,
    newest_events,
    timeline,
)
from app.cli.calls.call_view import OUTCOME_STYLES, timeline_view
from app.cli.calls.filter_options import event_filter
from app.cli.calls.interventions import print_result, replay_events, require_choice
from app.cli.calls.remote_interventions import replay_over_api
from app.cli.calls.unknown_names import note_unknown_project
from app.cli.framework.database import editor, reading
from app.cli.framework.moment import show_moment, zone_name
from app.cli.framework.options import (
    ByOption,
    DryRunOption,
    JsonOption,
    LimitOption,
    OutputOption,
    choosing,
)
from app.cli.framework.terminal import note, plain, progress, say, say_json, show, stacked, table, write_lines
from app.cli.remote import calls as remote
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.cli.remote.server import read_as
from app.clock import SystemClock
from app.livekit.vocabulary import JOINS

app = typer.Typer(help="Events from webhooks and from the sweep: list, show, export, replay.", no_args_is_help=True)


@app.command("list")
@over_api
@choosing(event_filter)
def list_(chosen: EventFilter, *, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """List events, newest first."""
    server = chosen_server()
    if server is not None:
        found = list(remote.read_events(server, chosen, limit + 1))
    else:
        with reading() as connection:
            found = list(islice(newest_events(connection, chosen), limit + 1))
    if as_json:
        say_json([event.to_json() for event in found[:limit]])
        return
    if not found:
        say("No events." if chosen == EventFilter() else "No event matches.")
        note_unknown_project(chosen.project, server)
        return
    show(_table(found[:limit]))
    if len(found) > limit:
        note(f"There are more than {limit}; see --limit, or narrow the selection.")


def _table(found: list[EventSummary]) -> Table:
    zone = zone_name(SystemClock().now())
    first = f"time ({zone}) / id"
    events = table(first, "participant / room", "event / outcome", narrow=(first,))
    for event in found:
        source = "" if event.source == "webhook" else f" ({event.source})"
        who = event.participant_identity + (f" {event.phone_number}" if event.phone_number else "")
        outcome = plain(str(event.outcome).replace("_", " "), OUTCOME_STYLES[event.outcome])
        events.add_row(
            stacked(show_moment(event.received_at), event.id),
            stacked(who or "-", event.room_name),
            plain(event.type + source).append("\n").append_text(outcome),
        )
    return events


@app.command("show")
@over_api
def show_(
    reference: Annotated[str, typer.Argument(metavar="EVENT", help="an event id, of Usher or of LiveKit (EV_…)")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one event and its whole call, step by step."""
    server = chosen_server()
    if server is not None:
        record = remote.read_event(server, reference)
        document = remote.read_timeline(server, record.id)
        steps = read_as(CallSteps, document)
    else:
        with reading() as connection:
            record = get_event(connection, reference)
            found = timeline(connection, record.id)
        document, steps = found.to_json(), found
    if as_json:
        say_json({"event": record.to_json(), "timeline": document})
    else:
        show(timeline_view(steps))


@app.command()
@over_api
@choosing(event_filter)
def export(
    chosen: EventFilter,
    *,
    format_: Annotated[
        ExportFormat,
        typer.Option("--format", "-f", help="csv: one row each; jsonl: one JSON object a line, with documents"),
    ] = ExportFormat.JSONL,
    output: OutputOption = None,
) -> None:
    """Write all events that match, newest first, as CSV or JSON lines."""
    server = chosen_server()
    with progress("events") as report:
        if server is not None:
            found = remote.iterate_events(server, chosen)
            count = write_lines(export_events(found, format_), output, report)
        else:
            with reading() as connection:
                found = iterate_events(connection, chosen)
                count = write_lines(export_events(found, format_), output, report)
    if output not in {None, "-"}:
        note(f"{count - (format_ is ExportFormat.CSV)} events written to {output}")


@app.command("replay")
@over_api
@choosing(event_filter)
def replay_(
    chosen: EventFilter,
    *,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[EVENT]...", help="ids of events")] = None,
    dry_run: DryRunOption = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retry stored events with the current rules, by id or by options; callers that have left meanwhile are skipped.

    A running usher serve sends the dispatches. Chosen by options, only joins of callers are replayed.
    """
    require_choice("EVENT", ids, is_filtered=chosen != EventFilter())
    server = editing_server(by)
    if ids:
        wanted = list(dict.fromkeys(ids))
    else:
        # Agents join as well; the join of a caller has one of these outcomes.
        chosen = replace(chosen, types=chosen.types or tuple(JOINS), outcomes=chosen.outcomes or CALLER_OUTCOMES)
        if server is not None:
            wanted = [event.id for event in remote.read_events(server, chosen)]
        else:
            with reading() as connection:
                wanted = [event.id for event in newest_events(connection, chosen)]
    if server is not None:
        result = replay_over_api(server, wanted, dry_run=dry_run)
    else:
        result = replay_events(wanted, by=editor(by), dry_run=dry_run)
    print_result(result, "replayed", named=bool(ids), as_json=as_json)
