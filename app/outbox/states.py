"""The life of a dispatch: which state may follow which.

                  accepted webhook
                         |
            +------- pending <----------- redriven from failed, no_show, cancelled
            |          |   ^
            |    claim |   | refused, unknown, or the answer deadline has passed
            |          v   |
            |       sending --------> dispatched ------> joined ------> ended
            |          |   \\              |    \\________^   |
            |          |    \\_____________|______________^   | (the agent was somebody else's)
            |          |                   |                  v
            +----------+---------+---------+             dispatched
                                 v
                    failed, no_show, cancelled

`pending` and `sending` may go straight to `joined`: after an unknown outcome the agent itself may be the first sign
that the call took effect. The same table is the source of the tests and of the README's diagram.
"""  # noqa: D301 - a drawing

from __future__ import annotations

from app.db.types import DispatchStatus
from app.errors import UsherError

_S = DispatchStatus

TRANSITIONS: dict[DispatchStatus | None, frozenset[DispatchStatus]] = {
    None: frozenset({_S.PENDING, _S.SENDING, _S.FAILED}),
    _S.PENDING: frozenset({_S.SENDING, _S.JOINED, _S.CANCELLED, _S.FAILED, _S.NO_SHOW}),
    _S.SENDING: frozenset({_S.PENDING, _S.DISPATCHED, _S.JOINED, _S.CANCELLED, _S.FAILED, _S.NO_SHOW}),
    _S.DISPATCHED: frozenset({_S.PENDING, _S.JOINED, _S.CANCELLED, _S.FAILED, _S.NO_SHOW}),
    _S.JOINED: frozenset({_S.ENDED, _S.DISPATCHED}),
    _S.ENDED: frozenset(),
    _S.NO_SHOW: frozenset({_S.PENDING}),
    _S.FAILED: frozenset({_S.PENDING}),
    _S.CANCELLED: frozenset({_S.PENDING}),
}
"""From each state (None: not yet stored) to the states that may follow it."""

REDRIVABLE = frozenset({_S.NO_SHOW, _S.FAILED, _S.CANCELLED})
WAITING = frozenset({_S.PENDING, _S.SENDING, _S.DISPATCHED})
"""States in which somebody waits for an agent."""

GAVE_UP = "the caller gave up"
"""How the reason of a dispatch begins whose callers all left before the agent came."""


class TransitionError(UsherError):
    """A dispatch was to go from one state to another that may not follow it: a defect, not an input error."""

    expected = False


def require_transition(before: DispatchStatus | None, after: DispatchStatus) -> None:
    """Raise `TransitionError` unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        raise TransitionError(f"a dispatch cannot go from {before} to {after}")
