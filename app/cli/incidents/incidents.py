"""`usher incidents`: what is wrong now, and what was; mute and unmute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from app.cli.framework.database import editor, reading, shared_clock, write
from app.cli.framework.moment import parse_duration, show_moment
from app.cli.framework.options import ByOption, JsonOption, LimitOption
from app.cli.framework.terminal import say, say_json, show, stacked, table
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.cli.remote.server import path_of, read_as
from app.db.types import IncidentKind
from app.errors import InvalidInputError, Problem
from app.incidents import LONGEST_MUTE, Incident, IncidentFilter, list_incidents, mute_incident

app = typer.Typer(help="What is wrong now, and what was.", no_args_is_help=True)

_Incident = Annotated[str, typer.Argument(metavar="INCIDENT", help="the id of an open incident")]


class State(StrEnum):
    """Whether incidents still last."""

    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


@app.command("list")
@over_api
def list_(
    *,
    state: Annotated[State, typer.Option("--state", help="open, closed or all")] = State.OPEN,
    kind: Annotated[list[IncidentKind] | None, typer.Option("--kind", help="only these; may be repeated")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List incidents, newest first; exit 1 if one is open that is not muted."""
    is_open = {State.OPEN: True, State.CLOSED: False, State.ALL: None}[state]
    server = chosen_server()
    found: Sequence[Incident]
    if server is not None:
        found = list(server.pages("/incidents", {"state": state, "kind": kind}, Incident, limit))
    else:
        with reading() as connection:
            found = list_incidents(connection, IncidentFilter(is_open, tuple(kind or ())), limit=limit).items
    now = shared_clock().now()
    if as_json:
        say_json([one.to_json() for one in found])
    elif not found:
        say("Nothing is wrong." if state is State.OPEN else "No incidents.")
    else:
        rows = table("id", "what", "callers", "since", narrow=("id",))
        for one in found:
            rows.add_row(
                one.id, stacked(one.title, one.remedy if one.is_open else ""), str(one.count), _since(one, now)
            )
        show(rows)
    if any(one.is_open and not one.is_muted(now) for one in found):
        raise typer.Exit(1)


def _since(incident: Incident, now: datetime) -> Text:
    opened = show_moment(incident.opened_at)
    if incident.closed_at is not None:
        return stacked(opened, f"until {show_moment(incident.closed_at)}")
    muted = f"muted until {show_moment(incident.muted_until)}" if incident.is_muted(now) else ""
    return stacked(opened, muted)


@app.command()
@over_api
def mute(
    incident: _Incident,
    *,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="such as 30m, 8h or 7d")] = "8h",
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep an open incident out of banners, alerts and notifications for a while."""
    span = parse_duration(duration)
    if span is None or not timedelta(0) < span <= LONGEST_MUTE:
        raise InvalidInputError("usage", [Problem("--for", "must be a duration such as 30m, 8h or 7d", duration)])
    _mute(incident, shared_clock().now() + span, by, as_json=as_json)


@app.command()
@over_api
def unmute(incident: _Incident, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """End the mute of an incident."""
    _mute(incident, None, by, as_json=as_json)


def _mute(incident_id: str, until: datetime | None, by: str | None, *, as_json: bool) -> None:
    now = shared_clock().now()
    server = editing_server(by)
    if server is None:
        muted = write(lambda connection: mute_incident(connection, incident_id, until, by=editor(by), now=now))
    elif until is None:
        muted = read_as(Incident, server.send("POST", path_of("incidents", incident_id, "unmute")))
    else:
        body = {"minutes": (until - now) / timedelta(minutes=1)}
        muted = read_as(Incident, server.send("POST", path_of("incidents", incident_id, "mute"), body))
    if as_json:
        say_json(muted.to_json())
    else:
        state = "not muted" if muted.muted_until is None else f"muted until {show_moment(muted.muted_until)}"
        say(f"{muted.title}: {state}")
