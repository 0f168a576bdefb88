"""Which state of a dispatch may follow which. The diagram stands in `app/README.md`; a test compares the two."""

from __future__ import annotations

from app.db.types import DispatchStatus
from app.errors import UsherError

_S = DispatchStatus

TRANSITIONS: dict[DispatchStatus | None, frozenset[DispatchStatus]] = {
    None: frozenset({_S.PENDING, _S.SENDING, _S.FAILED, _S.CANCELLED}),
    _S.PENDING: frozenset({_S.SENDING, _S.JOINED, _S.CANCELLED, _S.NO_SHOW}),
    _S.SENDING: frozenset({_S.PENDING, _S.DISPATCHED, _S.JOINED, _S.CANCELLED, _S.FAILED}),
    _S.DISPATCHED: frozenset({_S.PENDING, _S.JOINED, _S.CANCELLED, _S.NO_SHOW}),
    _S.JOINED: frozenset({_S.ENDED, _S.DISPATCHED, _S.PENDING, _S.NO_SHOW}),
    _S.ENDED: frozenset({_S.JOINED}),
    _S.NO_SHOW: frozenset(),
    _S.FAILED: frozenset({_S.PENDING}),
    _S.CANCELLED: frozenset({_S.PENDING}),
}
"""From each state (None: not yet stored) to the states that may follow it."""

REDRIVABLE = frozenset({_S.NO_SHOW, _S.FAILED, _S.CANCELLED})
"""States in which no agent came: another dispatch can be put in the place."""
WAITING = frozenset({_S.PENDING, _S.SENDING, _S.DISPATCHED})
"""States in which callers wait for the agent."""


class TransitionError(UsherError):
    """A dispatch was to go to a state that may not follow its own: a defect, not an input error."""

    expected = False


def require_transition(before: DispatchStatus | None, after: DispatchStatus) -> None:
    """Raise `TransitionError` unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        raise TransitionError(f"a dispatch cannot go from {before} to {after}")
