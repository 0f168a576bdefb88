"""The agent before: what metadata and templates say of it as `previous`, so that the next need not begin anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.db.types import format_instant
from app.lifecycle.departure import Departure
from app.outbox.dispatch import Dispatch


class PreviousCause(StrEnum):
    """Why there is another agent after this one."""

    NO_SHOW = "no_show"  # it did not join
    LOST = "lost"  # it left its caller
    HANDOVER = "handover"  # it has handed its caller over, or somebody else has
    REDRIVE = "redrive"  # it did not join, and an operator tries again


def previous_left(dispatch: Dispatch, departure: Departure, left_at: datetime) -> dict[str, Any]:
    """Return `previous` for the agent after one that has left its caller."""
    joined_at = None if dispatch.joined_at is None else format_instant(dispatch.joined_at)
    return _previous(dispatch, PreviousCause.LOST, joined_at, format_instant(left_at), departure.context)


def previous_handing_over(dispatch: Dispatch, context: Any, left_at: datetime | None) -> dict[str, Any]:
    """Return `previous` for the agent that a call is handed over to; `left_at`: None while the first is still there."""
    joined_at = None if dispatch.joined_at is None else format_instant(dispatch.joined_at)
    return _previous(
        dispatch, PreviousCause.HANDOVER, joined_at, None if left_at is None else format_instant(left_at), context
    )


def previous_redriven(dispatch: Dispatch) -> Mapping[str, Any]:
    """Return `previous` for the agent that an operator asks for again; one that was with the caller is named rather."""
    if dispatch.previous is not None and dispatch.previous.get("joined_at") is not None:
        return dispatch.previous
    return _previous(dispatch, PreviousCause.REDRIVE, None, None, None)


def previous_absent(dispatch: Dispatch) -> Mapping[str, Any]:
    """Return `previous` for the agent after one that did not join; one that was with the caller is named rather."""
    if dispatch.previous is not None and dispatch.previous.get("joined_at") is not None:
        return dispatch.previous
    return _previous(dispatch, PreviousCause.NO_SHOW, None, None, None)


def _previous(
    dispatch: Dispatch, cause: PreviousCause, joined_at: str | None, left_at: str | None, context: Any
) -> dict[str, Any]:
    return {
        "agent_name": dispatch.agent_to_ask,
        "cause": cause.value,
        "attempt": dispatch.attempts,
        "joined_at": joined_at,
        "left_at": left_at,
        "context": context,
    }
