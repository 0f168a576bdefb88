"""Which calls to list, and whether a call is one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.audit.call_lists.call_rows import CallRow
from app.audit.call_lists.call_search import lower_ascii
from app.audit.call_lists.phone_text import SoughtNumbers
from app.audit.calls.call_head import CallDirection, CallDispatch, CallOutcome, CallState
from app.db.columns.action_types import CallerActionStatus
from app.db.types import DispatchStatus, EventOutcome
from app.outbox.states import WAITING

CALLER_OUTCOMES = (EventOutcome.PLANNED, EventOutcome.SERVED, EventOutcome.NO_MATCH, EventOutcome.LOOKING_UP)
"""Outcomes of the join of a caller, as opposed to an agent or another machine."""

_OF_JOINS: Final[Mapping[CallState, EventOutcome]] = {
    CallState.NO_MATCH: EventOutcome.NO_MATCH,
    CallState.IGNORED: EventOutcome.IGNORED,
}
"""States that follow from what was decided for the join alone."""
_OF_ACTIONS: Final[Mapping[CallState, tuple[CallerActionStatus, ...]]] = {
    CallState.WAITING: (CallerActionStatus.PENDING, CallerActionStatus.SENDING),
    CallState.FAILED: (CallerActionStatus.FAILED,),
    CallState.CANCELLED: (CallerActionStatus.CANCELLED,),
    CallState.REMOVED: (CallerActionStatus.DONE,),
    CallState.TRANSFERRED: (CallerActionStatus.DONE,),
}
"""States that an action on the caller can decide, with those of the action."""
_STATUSES: Final[Mapping[CallState, tuple[DispatchStatus, ...]]] = {
    CallState.WAITING: tuple(sorted(WAITING)),
    CallState.NO_SHOW: (DispatchStatus.NO_SHOW,),
    CallState.FAILED: (DispatchStatus.FAILED,),
    CallState.ANSWERED: (DispatchStatus.JOINED,),
    CallState.ABANDONED: (DispatchStatus.CANCELLED,),
    CallState.CANCELLED: (DispatchStatus.CANCELLED,),
    CallState.ENDED: (DispatchStatus.ENDED,),
}


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list; a field that is None or empty does not filter.

    The call has one of `states`. `q` finds by the begin of names, the end of numbers, or ids (`call_search`); `search`
    is exact, as for events. `agent` was asked, as the rule's agent or as a fallback. `metadata` has top-level fields of
    the participant's metadata with their values as text. Callers who were ignored are listed by that state, by the
    `rule` that ignored them, or where somebody is sought (`seeks_somebody`). `since` and `until` bound when the caller
    joined, or, where a call is found by its dispatch (`follows_dispatches_and_actions`), when that was created.
    """

    project: str | None = None
    projects: tuple[str, ...] | None = None
    states: AbstractSet[CallState] = frozenset()
    outcome: CallOutcome | None = None
    direction: CallDirection | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    identity: str | None = None
    room: str | None = None
    phone_number: str | None = None
    rule: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    q: str | None = None

    @property
    def seeks_somebody(self) -> bool:
        """Whether the calls of one caller, number or room are wanted, or one call."""
        return any((self.q, self.search, self.identity, self.room, self.phone_number))

    @property
    def needs_dispatch(self) -> bool:
        """Whether only calls with a dispatch are wanted."""
        return bool(self.agent or self.outcome)

    @property
    def follows_dispatches_and_actions(self) -> bool:
        """Whether their indexes find the calls, in place of the list of all joins."""
        return bool(self.needs_dispatch or self.rule or (self.states and not self.states & _OF_JOINS.keys()))

    @property
    def may_have_dispatch(self) -> bool:
        """Whether calls with a dispatch are among those that are wanted."""
        return not self.states or bool(self.states - _OF_JOINS.keys())

    @property
    def statuses(self) -> tuple[DispatchStatus, ...]:
        """The states of the dispatches by which such calls are found; empty for any."""
        wanted = {status for state in self.states for status in _STATUSES.get(state, ())}
        if self.outcome is CallOutcome.NO_AGENT and not wanted:
            wanted = {DispatchStatus.NO_SHOW, DispatchStatus.FAILED}
        elif self.outcome is CallOutcome.ABANDONED and not wanted:
            wanted = {DispatchStatus.CANCELLED}
        elif self.outcome is CallOutcome.BEING_HANDED_OVER and not wanted:
            wanted = set(WAITING)
        return tuple(sorted(wanted))

    @property
    def action_statuses(self) -> tuple[CallerActionStatus, ...]:
        """The states of the actions by which such calls are found."""
        return tuple(sorted({status for state in self.states for status in _OF_ACTIONS.get(state, ())}))

    @property
    def event_outcomes(self) -> tuple[EventOutcome, ...]:
        """What was decided for the joins of such calls."""
        states = self.states
        if not states or states - _OF_JOINS.keys():
            is_ignored_wanted = CallState.IGNORED in states if states else self.seeks_somebody or bool(self.rule)
            return (*CALLER_OUTCOMES, EventOutcome.IGNORED) if is_ignored_wanted else CALLER_OUTCOMES
        return tuple(sorted({_OF_JOINS[state] for state in states}))

    @property
    def follows_ignored(self) -> bool:
        """Whether the index of callers who were ignored finds the calls, with those of other outcomes."""
        return CallState.IGNORED in self.states and self.states <= _OF_JOINS.keys() and not self.seeks_somebody

    @property
    def reads_every_call(self) -> bool:
        """Whether calls must be read to know whether they match, beyond what the lists of rows filter by."""
        return bool(self.follows_dispatches_and_actions or self.states - _OF_JOINS.keys() or self.metadata)

    def has_dispatch(self, one: CallDispatch) -> bool:
        """Return whether a dispatch is of those by which the call is found."""
        if self.statuses and one.status not in self.statuses:
            return False
        if self.agent is not None and self.agent not in {one.first_agent, one.agent}:
            return False
        if self.rule is not None and one.rule != self.rule:
            return False
        return self.outcome is None or self.outcome in one.outcomes

    def has_call(self, call: CallRow) -> bool:
        """Return whether a call matches; it has its body if metadata are asked for."""
        head = call.head
        if self.states and head.state not in self.states:
            return False
        if self.direction is not None and head.direction is not self.direction:
            return False
        if self.metadata and not _has_metadata(call.body or {}, self.metadata):
            return False
        if not (self.needs_dispatch or self.rule) or any(map(self.has_dispatch, call.made)):
            return True
        is_ignored_by = head.state is CallState.IGNORED and self.rule in head.rules
        return not self.needs_dispatch and (is_ignored_by or any(one.rule == self.rule for one in call.actions))


def has_text(call: CallRow, wanted: str, *, numbers: SoughtNumbers) -> bool:
    """Return whether `call_search` would find a call by `wanted`: for calls that another way has found.

    `numbers`: those that `wanted` may mean.
    """
    join, made, name = call.join, call.made, call.head.participant_name
    ids = (join.id, join.livekit_id, join.participant_sid, join.room_sid, *(one.id for one in made))
    if wanted in ids:
        return True
    names = (join.participant_identity, join.room_name, name or "")
    prefix = lower_ascii(wanted)
    if any(lower_ascii(one).startswith(prefix) or one.casefold().startswith(wanted.casefold()) for one in names):
        return True
    if numbers.has(join.phone_number) or numbers.has(call.trunk_number):
        return True
    begun = (*call.head.rules, *(each for one in made for each in (one.first_agent, one.agent)))
    return any(each.casefold().startswith(wanted.casefold()) for each in begun)


def _has_metadata(body: Mapping[str, Any], wanted: Sequence[tuple[str, str]]) -> bool:
    participant = body.get("participant")
    text = participant.get("metadata") if isinstance(participant, Mapping) else None
    try:
        fields = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, Mapping):
        return False
    return all(name in fields and _as_text(fields[name]).casefold() == value.casefold() for name, value in wanted)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
