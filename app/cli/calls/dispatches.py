"""`usher dispatches`: list, show, export, cancel and redrive dispatches."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from app.audit import (
    CallSteps,
    DispatchFilter,
    DispatchSummary,
    ExportFormat,
    duration_text,
    export_dispatches,
    get_dispatch,
    iterate_dispatches,
    newest_dispatches,
    timeline,
)
from app.cli.calls.call_view import STATUS_STYLES, dispatch_view, timeline_view
from app.cli.calls.filter_options import dispatch_filter
from app.cli.calls.interventions import cancel_dispatches, print_result, redrive_dispatches, require_choice
from app.cli.calls.remote_interventions import cancel_over_api, redrive_over_api
from app.cli.calls.unknown_names import note_unknown_names, note_unknown_project
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
from app.cli.remote.choice import chosen_server, editing_server, over_api, refuse_with_server
from app.cli.remote.server import Server, read_as
from app.clock import SystemClock
from app.db.types import DispatchStatus
from app.outbox.states import REDRIVABLE, WAITING

app = typer.Typer(help="Dispatches of agents to callers: list, show, export, cancel, redrive.", no_args_is_help=True)

_Ids = Annotated[list[str] | None, typer.Argument(metavar="[DISPATCH]...", help="ids of dispatches")]


@app.command("list")
@over_api
@choosing(dispatch_filter)
def list_(chosen: DispatchFilter, *, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """List dispatches, newest first."""
    server = chosen_server()
    if server is not None:
        found = list(remote.read_dispatches(server, chosen, limit + 1))
    else:
        with reading() as connection:
            found = list(islice(newest_dispatches(connection, chosen), limit + 1))
    if as_json:
        say_json([dispatch.to_json() for dispatch in found[:limit]])
        return
    if not found:
        say("No dispatches." if chosen == DispatchFilter() else "No dispatch matches.")
        note_unknown_names(chosen.agent, chosen.rule, server)
        note_unknown_project(chosen.project, server)
        return
    show(_table(found[:limit]))
    if len(found) > limit:
        note(f"There are more than {limit}; see --limit, or narrow the selection.")


def _table(found: list[DispatchSummary]) -> Table:
    zone = zone_name(SystemClock().now())
    first = f"time ({zone}) / id"
    rows = table(first, "caller / room", "agent / status", narrow=(first,))
    for dispatch in found:
        rows.add_row(
            stacked(show_moment(dispatch.created_at), dispatch.id),
            stacked(dispatch.participant_identity or "-", dispatch.room_name),
            _standing(dispatch),
        )
    return rows


def _standing(dispatch: DispatchSummary) -> Text:
    agent = dispatch.agent_name
    if dispatch.agent_asked != agent:
        agent = f"{dispatch.agent_asked} for {agent}"
    status = plain(str(dispatch.status).replace("_", " "), STATUS_STYLES[dispatch.status])
    text = plain(agent).append("\n").append_text(status)
    if dispatch.seconds_to_agent is not None:
        joined = "" if dispatch.status is DispatchStatus.JOINED else ", joined"
        text.append(f"{joined} after {duration_text(dispatch.seconds_to_agent)}", "dim")
    elif dispatch.status not in {DispatchStatus.JOINED, DispatchStatus.ENDED} and dispatch.reason:
        text.append("\n").append_text(plain(dispatch.reason, "dim"))
    return text


@app.command("show")
@over_api
def show_(
    dispatch_id: Annotated[str, typer.Argument(metavar="DISPATCH", help="the id of a dispatch")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one dispatch and its whole call, step by step."""
    server = chosen_server()
    if server is not None:
        record = remote.read_dispatch(server, dispatch_id)
        document = remote.read_timeline(server, record.dispatch.id)
        steps = read_as(CallSteps, document)
    else:
        with reading() as connection:
            record = get_dispatch(connection, dispatch_id)
            found = timeline(connection, record.dispatch.id)
        document, steps = found.to_json(), found
    if as_json:
        say_json({"dispatch": record.to_json(), "timeline": document})
    else:
        show(dispatch_view(record), "", timeline_view(steps))


@app.command()
@over_api
@choosing(dispatch_filter)
def export(
    chosen: DispatchFilter,
    *,
    format_: Annotated[
        ExportFormat, typer.Option("--format", "-f", help="csv: one row each; jsonl: one JSON object a line")
    ] = ExportFormat.JSONL,
    output: OutputOption = None,
) -> None:
    """Write all dispatches that match, newest first, as CSV or JSON lines."""
    server = chosen_server()
    with progress("dispatches") as report:
        if server is not None:
            whole = (remote.read_dispatch(server, one.id).dispatch for one in remote.read_dispatches(server, chosen))
            count = write_lines(export_dispatches(whole, format_), output, report)
        else:
            with reading() as connection:
                found = iterate_dispatches(connection, chosen)
                count = write_lines(export_dispatches(found, format_), output, report)
    if output not in {None, "-"}:
        note(f"{count - (format_ is ExportFormat.CSV)} dispatches written to {output}")


@app.command()
@over_api
@choosing(dispatch_filter)
def cancel(
    chosen: DispatchFilter,
    *,
    ids: _Ids = None,
    dry_run: DryRunOption = False,
    database_only: Annotated[
        bool,
        typer.Option("--database-only", help="do not call LiveKit; a running usher serve deletes the dispatches there"),
    ] = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel dispatches that wait for their agent, by id or by options; those that were sent are deleted at LiveKit."""
    server = editing_server(by)
    if server is not None:
        refuse_with_server(database_only=database_only)
    wanted = _chosen(server, chosen, ids, tuple(sorted(WAITING)))
    if server is not None:
        done = cancel_over_api(server, wanted, dry_run=dry_run)
    else:
        done = cancel_dispatches(wanted, by=editor(by), dry_run=dry_run, database_only=database_only)
    print_result(done, "cancelled", named=bool(ids), as_json=as_json)


@app.command()
@over_api
@choosing(dispatch_filter)
def redrive(
    chosen: DispatchFilter,
    *,
    ids: _Ids = None,
    dry_run: DryRunOption = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retry dispatches that ended without an agent, by id or by options, with metadata made by the current rule.

    A running usher serve delivers it; callers that have left meanwhile are skipped.
    """
    server = editing_server(by)
    wanted = _chosen(server, chosen, ids, tuple(sorted(REDRIVABLE)))
    if server is not None:
        done = redrive_over_api(server, wanted, dry_run=dry_run)
    else:
        done = redrive_dispatches(wanted, by=editor(by), dry_run=dry_run)
    print_result(done, "redriven", named=bool(ids), as_json=as_json)


def _chosen(
    server: Server | None, chosen: DispatchFilter, ids: list[str] | None, statuses: tuple[DispatchStatus, ...]
) -> list[str]:
    """Return the ids that were given, or those of the dispatches that match and are in one of `statuses`."""
    require_choice("DISPATCH", ids, is_filtered=chosen != DispatchFilter())
    if ids:
        return list(dict.fromkeys(ids))
    if not chosen.statuses:
        chosen = replace(chosen, statuses=statuses)
    if server is not None:
        return [dispatch.id for dispatch in remote.read_dispatches(server, chosen)]
    with reading() as connection:
        return [dispatch.id for dispatch in newest_dispatches(connection, chosen)]
