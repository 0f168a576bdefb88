"""What `usher demo` prints: the rules, a timeline while things happen, and who got which agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from app.audit import DispatchFilter, DispatchSummary, changes_after, events_after, newest_dispatches
from app.cli.demo.callers import Caller
from app.db.record_ids import lowest_id_at
from app.db.types import DispatchStatus
from app.livekit.vocabulary import EventType, ParticipantKind
from app.rules.editing.stored_rules import read_rules
from app.rules.fallbacks import names_of_fallbacks

_COLOURS = {"joined": "green", "no_show": "red", "failed": "red", "cancelled": "yellow"}


def joined_agent(dispatch: DispatchSummary | None) -> str | None:
    """Return the agent that is there by this dispatch."""
    return dispatch.agent_asked if dispatch is not None and dispatch.status is DispatchStatus.JOINED else None


def is_decided(caller: Caller, dispatch: DispatchSummary | None) -> bool:
    """Return whether the caller has an agent, or is known to get none."""
    if caller.expected is None:
        return dispatch is not None and dispatch.status is DispatchStatus.NO_SHOW
    return joined_agent(dispatch) is not None


def latest_dispatches(readers: Engine) -> Mapping[str, DispatchSummary]:
    """Return the latest dispatch of each participant, by identity."""
    latest: dict[str, DispatchSummary] = {}
    with readers.connect() as connection:
        for dispatch in newest_dispatches(connection, DispatchFilter()):
            latest.setdefault(dispatch.participant_identity, dispatch)
    return latest


def rules_table(readers: Engine) -> Table:
    """Return the rules in their order."""
    table = Table("priority", "rule", "agent", "fallback")
    with readers.connect() as connection:
        for rule in read_rules(connection):
            fallback = ", ".join(names_of_fallbacks(rule["fallbacks"]))
            table.add_row(str(rule["priority"]), rule["name"], rule["agent_name"], fallback)
    return table


def result_table(latest: Mapping[str, DispatchSummary], callers: Sequence[Caller]) -> Table:
    """Return who got which agent, after how long."""
    table = Table("caller", "expected", "joined", "after", "")
    for caller in callers:
        dispatch = latest.get(caller.identity)
        joined = joined_agent(dispatch)
        waited = dispatch.seconds_to_agent if dispatch is not None and joined else None
        after = "" if waited is None else f"{waited:.2f} s"
        mark = "[green]right[/]" if joined == caller.expected else "[red]wrong[/]"
        table.add_row(caller.name, caller.expected or "none", joined or "none", after, mark)
    return table


class Timeline:
    """Prints events and changes of dispatches as they are stored; long texts go on beneath their column.

    Those before `since` are left out.
    """

    def __init__(self, readers: Engine, console: Console, since: datetime) -> None:
        self._readers = readers
        self._console = console
        self._since = since
        self._last_event = lowest_id_at(since)
        self._last_line = 0
        self._began: dict[str, tuple[str, Any]] = {}

    async def watch(self) -> None:
        """Print new lines until cancelled."""
        while True:
            for line in await asyncio.to_thread(lambda: list(self._new_lines())):
                self._console.print(line)
            await asyncio.sleep(0.05)

    def _new_lines(self) -> Iterator[Table]:
        with self._readers.connect() as connection:
            for event in events_after(connection, self._last_event):
                self._last_event = event.id
                if event.type == EventType.PARTICIPANT_JOINED and event.participant_kind != ParticipantKind.AGENT:
                    self._began[event.id] = (event.participant_identity, event.received_at)
                    rules = ", ".join(rule["rule"] for rule in (event.decision or {}).get("matched", []))
                    yield _line(0.0, event.participant_identity, "joins", f"{event.room_name}; rule: {rules or 'none'}")
            for change in changes_after(connection, self._last_line):
                line = change.line
                self._last_line = line.id
                if line.changed_at < self._since:
                    continue
                identity, began = self._began.get(change.event_id, ("?", line.changed_at))
                seconds = (line.changed_at - began).total_seconds()
                yield _line(seconds, identity, line.to_state, line.reason)


def _line(seconds: float, identity: str, state: str, text: str) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_column(width=8, justify="right", style="dim", no_wrap=True)
    line.add_column(width=16, no_wrap=True, overflow="ellipsis")
    line.add_column(width=10, no_wrap=True)
    line.add_column()
    line.add_row(f"{seconds:.2f} s", Text(identity), Text(state, _COLOURS.get(state, "cyan")), Text(text))
    return line
