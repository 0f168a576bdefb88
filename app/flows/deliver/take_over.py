"""Makes dispatches due that a process of this node held when it died, sooner than their leases end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select, text

from app.db.tables import NOT_ENDED, dispatches
from app.db.types import Cause, DispatchStatus
from app.flows.context import Context
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.transition import move
from app.outbox.dispatch import Dispatch
from app.outbox.move import Move
from app.translation import recorded


def take_over(connection: Connection, after: AfterCommit, context: Context) -> None:
    """Write when dispatches that are being sent or checked may be claimed; no other process may use the database.

    A call that was under way is waited for, since it may still take effect.
    """
    now = context.clock.now()
    unused = context.lease - timedelta(seconds=context.settings.request_timeout)
    held = select(dispatches).where(
        text(NOT_ENDED),
        (dispatches.c.status == DispatchStatus.SENDING)
        | ((dispatches.c.status == DispatchStatus.DISPATCHED) & dispatches.c.lease_owner.is_not(None)),
    )
    moves = []
    for row in connection.execute(held).mappings():
        dispatch = Dispatch.from_row(row)
        fields: dict[str, Any] = {"lease_owner": None, "lease_until": None}
        if dispatch.status is DispatchStatus.SENDING:
            due = (dispatch.lease_until or now) - unused
            fields = {"lease_until": due, "next_attempt_at": due}
        reason = recorded("the process that held it was stopped; this one goes on")
        moves.append(Move(dispatch, dispatch.status, Cause.PROCESS_RESTARTED, reason, fields=fields))
    move(connection, after, moves, now)
