"""The life of a dispatch: which state may follow which.

          ,-------------- b ---------------.                  ,------- i -------.
          |                                v                  v                 |
        (new) -- a --> pending -- d --> sending -- f --> dispatched -- h --> joined -- j --> ended
          |               ^              |   |            |     |
          |               |------ e -----'   |            |     |
          |               |------ g ---------|------------'     |
          c               |                  l                  m
          |               |                  v                  v
          '---------------|-------------> failed             no_show         cancelled <-- k --
                          |                  |                  |                |
                          '------ n ---------+------------------+----------------'

    a  (new) -> pending: a rule matched; or the agent of another dispatch left and is replaced
    b  (new) -> sending: a rule matched, and the webhook proves that its caller is there: called for at once
    c  (new) -> failed: the rule's metadata or attributes could not be made
    d  pending -> sending: claimed for a call to LiveKit
    e  sending -> pending: LiveKit refused, did not answer, or its answer is unknown; tried again later
    f  sending -> dispatched: LiveKit has written the dispatch down; its agent is awaited
    g  dispatched -> pending: no agent came by the deadline; asked for again, or the fallback is
    h  pending, sending, dispatched -> joined: the agent is in the room, perhaps as the first sign that a call worked
    i  joined -> dispatched: that agent had come by another dispatch; its own is awaited
    j  joined -> ended: the agent left, or the room closed
    k  pending, sending, dispatched -> cancelled: the callers left, the room closed, or an operator cancelled it
    l  sending -> failed: LiveKit refused or was in trouble too often
    m  dispatched -> no_show: no agent came, and no attempt or fallback is left
    n  no_show, failed, cancelled -> pending: redriven by an operator; after trouble at LiveKit by the sweep

`tests/unit/outbox/test_states.py` compares these lines with `TRANSITIONS`.
"""

from __future__ import annotations

from app.db.types import DispatchStatus
from app.errors import UsherError

_S = DispatchStatus

TRANSITIONS: dict[DispatchStatus | None, frozenset[DispatchStatus]] = {
    None: frozenset({_S.PENDING, _S.SENDING, _S.FAILED}),
    _S.PENDING: frozenset({_S.SENDING, _S.JOINED, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.PENDING, _S.DISPATCHED, _S.JOINED, _S.CANCELLED, _S.FAILED}),
    _S.DISPATCHED: frozenset({_S.PENDING, _S.JOINED, _S.CANCELLED, _S.NO_SHOW}),
    _S.JOINED: frozenset({_S.ENDED, _S.DISPATCHED}),
    _S.ENDED: frozenset(),
    _S.NO_SHOW: frozenset({_S.PENDING}),
    _S.FAILED: frozenset({_S.PENDING}),
    _S.CANCELLED: frozenset({_S.PENDING}),
}
"""From each state (None: not yet stored) to the states that may follow it."""

REDRIVABLE = frozenset({_S.NO_SHOW, _S.FAILED, _S.CANCELLED})
WAITING = frozenset({_S.PENDING, _S.SENDING, _S.DISPATCHED})
"""States in which callers wait for the agent."""


class TransitionError(UsherError):
    """A dispatch was to go to a state that may not follow its own: a defect, not an input error."""

    expected = False


def require_transition(before: DispatchStatus | None, after: DispatchStatus) -> None:
    """Raise `TransitionError` unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        raise TransitionError(f"a dispatch cannot go from {before} to {after}")
