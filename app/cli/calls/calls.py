"""`usher calls`: find, list and export calls, also those that no rule matched."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from app.audit import CallFilter, CallHead, CallState, ExportFormat, duration_text, export_calls, iterate_calls
from app.cli.calls.call_view import STATE_STYLES
from app.cli.calls.filter_options import call_filter
from app.cli.calls.saved_views import ViewOption, ViewUserOption, views, with_view
from app.cli.calls.unknown_names import note_unknown_names, note_unknown_project
from app.cli.calls.view_edits import delete_a_view, save_view
from app.cli.framework.database import reading
from app.cli.framework.moment import show_moment, zone_name
from app.cli.framework.options import JsonOption, LimitOption, OutputOption, choosing
from app.cli.framework.terminal import note, plain, progress, say, say_json, show, stacked, table, write_lines
from app.cli.remote import calls as remote
from app.cli.remote.choice import chosen_server, over_api
from app.clock import SystemClock

app = typer.Typer(help="Calls of participants: find, list, export.", no_args_is_help=True)
app.command("views")(views)
app.command("save-view")(save_view)
app.command("delete-view")(delete_a_view)


@app.command("list")
@over_api
@choosing(call_filter)
def list_(
    chosen: CallFilter,
    *,
    view: ViewOption = None,
    user: ViewUserOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List calls, newest first; `usher explain CALL` says what happened in one."""
    chosen, server = with_view(chosen, view, user), chosen_server()
    if server is not None:
        found = remote.read_calls(server, chosen, limit + 1)
    else:
        with reading() as connection:
            found = list(islice(iterate_calls(connection, chosen), limit + 1))
    if as_json:
        say_json([call.to_json() for call in found[:limit]])
        return
    if not found:
        say("No calls." if chosen == CallFilter() else "No call matches.")
        note_unknown_names(chosen.agent, chosen.rule, server)
        note_unknown_project(chosen.project, server)
        return
    show(_table(found[:limit]))
    if len(found) > limit:
        note(f"There are more than {limit}; see --limit, or narrow the selection.")


def _table(found: list[CallHead]) -> Table:
    first = f"time ({zone_name(SystemClock().now())}) / id"
    rows = table(first, "caller / room", "state / agent", narrow=(first,))
    for call in found:
        caller = call.participant_identity + (f" ({call.participant_name})" if call.participant_name else "")
        state = plain(str(call.state).replace("_", " "), STATE_STYLES.get(call.state, ""))
        if call.seconds_to_agent is not None:
            joined = "" if call.state is CallState.ANSWERED else ", joined"  # "ended after" would be said of the call
            state.append(f"{joined} after {duration_text(call.seconds_to_agent)}", "dim")
        agents = ", ".join(call.asked_agents)
        if agents:
            state.append("\n").append_text(plain(agents, "dim"))
        rows.add_row(stacked(show_moment(call.joined_at), call.event_id), stacked(caller or "-", call.room_name), state)
    return rows


@app.command()
@over_api
@choosing(call_filter)
def export(
    chosen: CallFilter,
    *,
    view: ViewOption = None,
    user: ViewUserOption = None,
    format_: Annotated[
        ExportFormat, typer.Option("--format", "-f", help="csv: columns for people; jsonl: one JSON object a line")
    ] = ExportFormat.CSV,
    output: OutputOption = None,
) -> None:
    """Write all calls that match, newest first, as CSV or JSON lines."""
    chosen, server = with_view(chosen, view, user), chosen_server()
    with progress("calls") as report:
        if server is not None:
            count = write_lines(remote.export_calls(server, chosen, format_), output, report)
        else:
            with reading() as connection:
                count = write_lines(export_calls(iterate_calls(connection, chosen), format_), output, report)
    if output not in {None, "-"}:
        note(f"{count - (format_ is ExportFormat.CSV)} calls written to {output}")
