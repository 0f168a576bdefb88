"""Says when something is due next for each loop, from one statement in place of the polling of all of them.

Eight loops that each looked for due rows, up to seven times a second, took 2.7 % of a core while nothing was due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, Text, bindparam, cast, literal_column, null, or_, select, text, union_all

from app.db.any_of import any_of
from app.db.columns.column_types import Timestamp
from app.db.engine.reader import Reader
from app.db.hot_statement import HotStatement
from app.db.tables import (
    ACTION_IS_LIVE,
    caller_actions,
    dispatches,
    notification_deliveries,
    notifications,
    status_in,
    webhook_subscriptions,
)
from app.db.tables.calls import ANNOUNCED
from app.db.types import DispatchStatus
from app.flows.clock_steps import ClockCorrector
from app.flows.context import Context
from app.flows.lookup.pending_events import PAST_DUE, due_at
from app.flows.loop import Loop
from app.incidents.messages.delivery import IS_PENDING

CLOCK: Final = "timekeeping"
"""The flow that corrects deadlines after the clock was set back."""
READ_EVERY_S: Final = 0.25
"""Shortest interval: so soon after a commit of this process, and while something is due, all is looked at again."""
IDLE_S: Final = 1.0
"""Longest interval: what another process writes is noticed so late at most."""
UNPROMPTED_S: Final = 15.0
"""A loop looks for due rows itself after so long, in case this overlooks some."""
_MARGIN_S: Final = 0.05
"""Loops are woken so much late: timers fire up to a millisecond early, what is due a little later is done with it, and
an agent that joins in the moment of its deadline is not given up."""

_NOW: Final = cast(null(), Timestamp())


def _first(flow: str, query: Select[Any]) -> Select[Any, Any]:
    """Return the SELECT of a flow and of when the first row of `query` is due, which has one column."""
    (due,) = query.selected_columns
    first = query.where(due.is_not(None)).order_by(due).limit(1).subquery()
    return select(literal_column(f"'{flow}'", Text()), first.c[0])


def _any(flow: str, query: Select[Any]) -> Select[Any, Any]:
    """Return the SELECT of a flow and NULL, which means that it is due now, if `query` has a row."""
    return select(literal_column(f"'{flow}'", Text()), _NOW).select_from(query.limit(1).subquery())


def _dispatches(column: Any, index: str, *conditions: Any) -> Select[Any]:
    query = select(column).with_hint(dispatches, f"INDEXED BY {index}", "sqlite")
    return query.where(*conditions, any_of(dispatches.c.project, "projects"))


_PENDING: Final = status_in(DispatchStatus.PENDING, DispatchStatus.SENDING)
_UNLEASED: Final = or_(
    dispatches.c.lease_until.is_(None), dispatches.c.lease_until <= bindparam("now", type_=Timestamp())
)
_DUE: Final = HotStatement(
    union_all(
        _first("deliver", _dispatches(dispatches.c.next_attempt_at, "ix_dispatches_due", _PENDING)),
        _any("deliver", _dispatches(dispatches.c.id, "ix_dispatches_queue", text("queued_at IS NOT NULL"))),
        _first(
            "inspect",
            _dispatches(
                dispatches.c.answer_deadline,
                "ix_dispatches_unanswered",
                status_in(DispatchStatus.DISPATCHED),
                _UNLEASED,
            ),
        ),
        _first("doubts", _dispatches(dispatches.c.doubtful_until, "ix_dispatches_doubtful_until")),
        _any("announce", _dispatches(dispatches.c.id, "ix_dispatches_announced", text(ANNOUNCED))),
        _first(
            "caller actions",
            select(caller_actions.c.next_attempt_at)
            .with_hint(caller_actions, "INDEXED BY ix_caller_actions_due", "sqlite")
            .where(ACTION_IS_LIVE, any_of(caller_actions.c.project, "projects")),
        ),
        _any("lookups", PAST_DUE),
        # Who wants messages is read anew while there is anybody, so that an edit takes effect within two seconds.
        _any(
            "messages",
            select(webhook_subscriptions.c.id).where(
                webhook_subscriptions.c.enabled, webhook_subscriptions.c.paused_at.is_(None)
            ),
        ),
        _any("messages", select(notifications.c.name).where(notifications.c.enabled)),
        _any("messages", select(notification_deliveries.c.id).where(IS_PENDING)),
    )
)


class Agenda:
    """Wakes each of `loops`, which are the flows above by name, when something is due for it."""

    def __init__(self, context: Context, loops: Mapping[str, Loop], clock_corrector: ClockCorrector) -> None:
        self._context = context
        self._loops = loops
        self._corrector = clock_corrector
        # In other threads than the context's, where the comparison of a big room takes a second.
        self._read = context.read if context.reader is None else Reader(context.reader.engine).run

    async def run_once(self) -> dict[str, int]:
        """Look at what is due, and set the times of the loops; return how many of them have something to do soon."""
        rows = await self._read(self._find)
        now = self._context.clock.now()
        soon: dict[str, float] = {}
        for flow, due in rows:
            seconds = 0.0 if due is None else (due - now).total_seconds() + _MARGIN_S
            if seconds <= IDLE_S:
                soon[flow] = min(seconds, soon.get(flow, IDLE_S))
        if any(client.is_down for client in self._context.clients.values()):
            soon["deliver"] = 0.0  # what waits for it is sent as soon as it is back
        for flow, seconds in soon.items():
            self._loops[flow].wake_in(seconds)
        return {"due": len(soon)}

    def _find(self, connection: Connection) -> list[tuple[str, datetime | None]]:
        is_set_back = self._corrector.is_set_back(connection)
        asked = {"projects": list(self._context.clients), **due_at(self._context.clock.now())}
        found = [(flow, due) for flow, due in _DUE.rows(connection, asked)]
        return [*found, (CLOCK, None)] if is_set_back else found
