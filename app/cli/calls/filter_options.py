"""Options that filter lists of events and dispatches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.audit import (
    FIRST_YEAR,
    LAST_YEAR,
    CallDirection,
    CallFilter,
    CallOutcome,
    CallState,
    DispatchFilter,
    EventFilter,
)
from app.cli.framework.database import shared_clock
from app.cli.framework.moment import parse_moment
from app.db.types import DispatchStatus, EventOutcome, EventSource
from app.errors import InvalidInputError, Problem

_Project = Annotated[str | None, typer.Option("--project", help="only of this LiveKit project")]
_Identity = Annotated[str | None, typer.Option("--identity", help="only of this participant")]
_Room = Annotated[str | None, typer.Option("--room", help="only in this room, by name")]
_Phone = Annotated[str | None, typer.Option("--phone", metavar="NUMBER", help="only from this phone number")]
_Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="not before: 24h, 14:02, yesterday, a date")
]
_Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="before: as for --since")]
_Search = Annotated[str | None, typer.Option("--search", "-s", metavar="TEXT", help="any name, number or id, exact")]


def event_filter(
    *,
    project: _Project = None,
    event_type: Annotated[list[str] | None, typer.Option("--type", help="only of this type; repeatable")] = None,
    source: Annotated[EventSource | None, typer.Option("--source", help="only from this source")] = None,
    outcome: Annotated[
        list[EventOutcome] | None, typer.Option("--outcome", help="only with this outcome; repeatable")
    ] = None,
    identity: _Identity = None,
    room: _Room = None,
    phone: _Phone = None,
    since: _Since = None,
    until: _Until = None,
    search: _Search = None,
) -> EventFilter:
    """Return the filter that the options describe."""
    begin, end = period(since, until)
    return EventFilter(
        project=project,
        types=tuple(event_type or ()),
        source=source,
        outcomes=tuple(outcome or ()),
        identity=identity,
        room=room,
        phone_number=phone,
        since=begin,
        until=end,
        search=_not_empty(search, "--search"),
    )


def dispatch_filter(
    *,
    project: _Project = None,
    status: Annotated[
        list[DispatchStatus] | None, typer.Option("--status", help="only with this status; repeatable")
    ] = None,
    identity: _Identity = None,
    room: _Room = None,
    phone: _Phone = None,
    rule: Annotated[str | None, typer.Option("--rule", help="only of this rule, by name")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="only of this agent")] = None,
    since: _Since = None,
    until: _Until = None,
    search: _Search = None,
) -> DispatchFilter:
    """Return the filter that the options describe."""
    begin, end = period(since, until)
    return DispatchFilter(
        project=project,
        statuses=tuple(status or ()),
        identity=identity,
        room=room,
        phone_number=phone,
        rule=rule,
        agent=agent,
        since=begin,
        until=end,
        search=_not_empty(search, "--search"),
    )


def call_filter(
    *,
    q: Annotated[
        str | None,
        typer.Option(
            "--find",
            "-q",
            metavar="TEXT",
            help="how a name, room, agent or rule begins, a phone number or its last digits, any id",
        ),
    ] = None,
    project: _Project = None,
    state: Annotated[list[CallState] | None, typer.Option("--state", help="only in this state; repeatable")] = None,
    outcome: Annotated[CallOutcome | None, typer.Option("--outcome", help="only with this outcome")] = None,
    direction: Annotated[CallDirection | None, typer.Option("--direction", help="only such phone calls")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="FIELD=VALUE", help="only with this field of the metadata; repeatable"),
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="only of this rule, by name")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="only where this agent was asked")] = None,
    since: _Since = None,
    until: _Until = None,
) -> CallFilter:
    """Return the filter that the options describe."""
    begin, end = period(since, until)
    fields = []
    for one in metadata or ():
        name, mark, value = one.partition("=")
        if not mark or not name.strip():
            raise InvalidInputError("usage", [Problem("--metadata", "must be FIELD=VALUE, such as language=es", one)])
        fields.append((name.strip(), value.strip()))
    return CallFilter(
        q=(q or "").strip() or None,
        project=project,
        states=frozenset(state or ()),
        outcome=outcome,
        direction=direction,
        metadata=tuple(fields),
        rule=rule,
        agent=agent,
        since=begin,
        until=end,
    )


def _not_empty(text: str | None, option: str) -> str | None:
    """Return the text of an option; raises InvalidInputError for an empty one, which would select everything."""
    if text is not None and not text.strip():
        raise InvalidInputError("usage", [Problem(option, "must not be empty", text)])
    return text


def _moment(text: str, now: datetime, name: str) -> datetime:
    """Return the instant that `text` names, within the years that lists and the API take."""
    instant = parse_moment(text, now, name)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        problem = Problem(name, f"must be between the years {FIRST_YEAR} and {LAST_YEAR}", text[:100])
        raise InvalidInputError("usage", [problem])
    return instant


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the instants of `--since` and `--until`; raises InvalidInputError with the problems of both."""
    if since is None and until is None:
        return None, None
    now = shared_clock().now()
    instants: list[datetime | None] = []
    problems: list[Problem] = []
    for name, text in (("--since", since), ("--until", until)):
        try:
            instants.append(None if text is None else _moment(text, now, name))
        except InvalidInputError as error:
            problems += error.problems
    if problems:
        raise InvalidInputError("usage", problems)
    begin, end = instants
    if begin is not None and end is not None and begin >= end:
        raise InvalidInputError("usage", [Problem("--until", "must be later than --since")])
    return begin, end
