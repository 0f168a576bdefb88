"""The agent before: what metadata and templates say of it as `previous`, so that the next need not begin anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.db.types import format_instant
from app.outbox.dispatch import Dispatch


class PreviousCause(StrEnum):
    """Why there is another agent after this one."""

    NO_SHOW = "no_show"  # it did not join
    LOST = "lost"  # it left its caller
    HANDOVER = "handover"  # it has handed its caller over, or somebody else has
    REDRIVE = "redrive"  # it did not join, and an operator tries again


def previous_with_agent(
    dispatch: Dispatch, cause: PreviousCause, context: Any, left_at: datetime | None
) -> dict[str, Any]:
    """Return `previous` for the agent after one that had the caller; `left_at`: None while it is still there."""
    return _previous(dispatch, cause, dispatch.joined_at, left_at, context)


def previous_without_agent(dispatch: Dispatch, cause: PreviousCause) -> Mapping[str, Any]:
    """Return `previous` for the agent after one that did not join; one that was with the caller is named rather."""
    if dispatch.previous is not None and dispatch.previous.get("joined_at") is not None:
        return dispatch.previous
    return _previous(dispatch, cause, None, None, None)


def _previous(
    dispatch: Dispatch, cause: PreviousCause, joined_at: datetime | None, left_at: datetime | None, context: Any
) -> dict[str, Any]:
    return {
        "agent_name": dispatch.agent_to_ask,
        "cause": cause.value,
        "attempt": dispatch.attempts,
        "joined_at": None if joined_at is None else format_instant(joined_at),
        "left_at": None if left_at is None else format_instant(left_at),
        "context": context,
    }
