"""A call on one time axis: the caller, lookups, rules, queues, each attempt with its deadline, and agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.audit.calls.duration import duration_text
from app.audit.calls.step import StepKind
from app.audit.calls.timeline import Timeline
from app.audit.records.record_types import AttemptRecord, DispatchRecord
from app.db.types import AttemptOutcome, Cause, DispatchStatus
from app.outbox.states import WAITING
from app.translation import gettext

_QUEUED_OVER: Final = timedelta(seconds=1)
_MARGIN: Final = 1.15
"""The axis reaches so many times as far as what is to be seen."""
_STAYS_SHOWN: Final = 4
"""A call at most so many times as long as what happened until its last agent joined is shown whole."""
_MAX_LANES: Final = 60


class SpanKind(StrEnum):
    """What a span of time was spent with; a page colours it by this."""

    CALLER = "caller"
    LOOKUP = "lookup"
    RULES = "rules"
    QUEUE = "queue"
    REQUEST = "request"  # a call to LiveKit
    WAITING = "waiting"
    MISSED = "missed"
    STAY = "stay"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a lane, in seconds since the begin of the axis. A span without length is a moment.

    `is_cut`: it goes on behind the end of the axis.
    """

    kind: SpanKind
    begin: float
    end: float
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of the picture: what it is about, what came of it, and the deadlines in it."""

    label: str
    text: str
    spans: tuple[Span, ...]
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The lanes of a call from top to bottom, over an axis of `length` seconds."""

    length: float
    lanes: tuple[Lane, ...]

    @property
    def ticks(self) -> tuple[float, ...]:
        """The seconds at which the axis has a line: 0 and three to six round ones."""
        step = next(
            size * 10.0**power for power in range(-2, 8) for size in (1, 2, 5) if self.length <= 6 * size * 10.0**power
        )
        return tuple(step * number for number in range(int(self.length / step) + 1))


@dataclass(frozen=True, slots=True)
class _Part:
    kind: SpanKind
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    text: str
    parts: tuple[_Part, ...]
    deadline: datetime | None = None


def waterfall_of(found: Timeline, now: datetime) -> Waterfall:
    """Return the picture of a call at `now`."""
    call = found.call
    late = timedelta(seconds=_seconds_late(found))
    begin = call.joined_at - late
    rows = [*_before_dispatches(found)]
    for record in found.dispatches:
        rows += _rows_of(record, now)
    left = call.left_at or now
    whole = max(0.0, (left - begin).total_seconds())
    received = gettext("received")
    arrival = gettext("arrived %(time)s late", time=duration_text(late.total_seconds())) if late else received
    rows.insert(0, _Row(gettext("webhook"), arrival, (_Part(SpanKind.REQUEST, begin, call.joined_at),)))
    stayed = gettext("stayed %(time)s", time=duration_text(whole))
    text = gettext("is in the room") if call.left_at is None else stayed
    rows.insert(0, _Row(gettext("caller"), text, (_Part(SpanKind.CALLER, begin, left),)))
    length = _length([part for row in rows for part in row.parts], begin, whole)
    return Waterfall(length, tuple(_lane(row, begin, length) for row in rows[:_MAX_LANES]))


def _seconds_late(found: Timeline) -> float:
    """Return how late the webhook of the join was, as far as LiveKit's clock shows it."""
    own = (step for step in found.steps if step.kind is StepKind.EVENT and step.event_id == found.call.event_id)
    return next((float(step.facts.get("seconds_late") or 0) for step in own), 0.0)


def _before_dispatches(found: Timeline) -> Iterator[_Row]:
    for step in found.steps:
        match step.kind:
            case StepKind.LOOKUP:
                asked = step.at - timedelta(seconds=float(step.facts.get("seconds") or 0))
                label = gettext("lookup %(name)s", name=repr(step.facts["lookup"]))
                yield _Row(label, step.reason, (_Part(SpanKind.LOOKUP, asked, step.at),))
            case StepKind.DECISION:
                yield _Row(gettext("rules"), step.title, (_Part(SpanKind.RULES, step.at, step.at),))
            case StepKind.ACTION:
                yield _Row(gettext("action"), step.title, (_Part(SpanKind.ACTION, step.at, step.at),))
            case _:
                pass


def _rows_of(record: DispatchRecord, now: datetime) -> Iterator[_Row]:
    dispatch, calls = record.dispatch, record.calls
    over = dispatch.ended_at or now
    asked_at = calls[0].started_at if calls else over
    if dispatch.joined_at is not None and not calls:
        asked_at = min(asked_at, dispatch.joined_at)
    if asked_at - dispatch.created_at > _QUEUED_OVER:
        waited = duration_text((asked_at - dispatch.created_at).total_seconds())
        is_over = bool(calls) or dispatch.status not in WAITING
        text = gettext("waited %(time)s", time=waited) if is_over else gettext("waits for %(time)s", time=waited)
        label = gettext("queue of %(agent)s", agent=dispatch.agent_name)
        yield _Row(label, text, (_Part(SpanKind.QUEUE, dispatch.created_at, asked_at),))
    for place, attempt in enumerate(calls):
        is_last = place == len(calls) - 1
        until = over if is_last else calls[place + 1].started_at
        yield _attempt(record, attempt, until, is_last=is_last, now=now)


def _attempt(record: DispatchRecord, attempt: AttemptRecord, until: datetime, *, is_last: bool, now: datetime) -> _Row:
    dispatch = record.dispatch
    answered = attempt.finished_at or min(until, now)
    joined = attempt.joined_at or (dispatch.joined_at if is_last else None)
    left = attempt.left_at or (dispatch.ended_at or now if is_last else until)
    label = gettext("%(agent)s, by the access token", agent=attempt.agent_name)
    if attempt.number:
        label = gettext("%(agent)s, call %(number)s", agent=attempt.agent_name, number=attempt.number)
    parts = [_Part(SpanKind.REQUEST, attempt.started_at, answered)]
    if attempt.outcome in {AttemptOutcome.REJECTED, AttemptOutcome.UNKNOWN}:
        is_refused = attempt.outcome == AttemptOutcome.REJECTED
        words = gettext("LiveKit refused") if is_refused else gettext("no clear answer of LiveKit")
        return _Row(label, words, tuple(parts))
    deadline = answered + timedelta(seconds=_seconds_allowed(record, attempt.agent_name))
    if joined is not None:
        text = gettext("joined after %(time)s", time=_between(attempt.started_at, joined))
        if left < now:
            text += gettext(", stayed %(time)s", time=_between(joined, left))
        parts += [_Part(SpanKind.WAITING, answered, max(joined, answered)), _Part(SpanKind.STAY, joined, left)]
        return _Row(label, text, tuple(parts), deadline)
    kind, text = SpanKind.MISSED, gettext("did not join in %(time)s", time=_between(answered, until))
    if is_last and dispatch.status in WAITING:
        kind, text = SpanKind.WAITING, gettext("is awaited")
    elif is_last and dispatch.status is DispatchStatus.CANCELLED:
        kind, time = SpanKind.WAITING, _between(answered, until)
        text = gettext("had not joined when it was cancelled, after %(time)s", time=time)
        if dispatch.cause is Cause.CALLER_LEFT:
            text = gettext("had not joined when the caller left, after %(time)s", time=time)
    return _Row(label, text, (*parts, _Part(kind, answered, max(until, answered))), deadline)


def _between(begin: datetime, end: datetime) -> str:
    return duration_text((end - begin).total_seconds())


def _seconds_allowed(record: DispatchRecord, agent_name: str) -> int:
    """Return how long the agent had to join, by the rule as it was then."""
    dispatch = record.dispatch
    if agent_name == dispatch.agent_name:
        return dispatch.answer_timeout_s
    ladder = dispatch.fallbacks or ()
    return next(
        (one["answer_timeout_s"] for one in ladder if one["agent_name"] == agent_name), dispatch.answer_timeout_s
    )


def _length(parts: Sequence[_Part], begin: datetime, whole: float) -> float:
    """Return how long the axis is: as far as the last agent joined, or was given up; the whole call if it is short."""
    ends = [
        part.begin if part.kind is SpanKind.STAY else part.end for part in parts if part.kind is not SpanKind.CALLER
    ]
    seen = max([0.5, *((end - begin).total_seconds() for end in ends)])
    return (whole if seen < whole <= _STAYS_SHOWN * seen else seen) * _MARGIN


def _lane(row: _Row, begin: datetime, length: float) -> Lane:
    spans = []
    for part in row.parts:
        first, last = ((one - begin).total_seconds() for one in (part.begin, part.end))
        first, last = max(0.0, first), max(0.0, last)
        if first <= length:
            spans.append(Span(part.kind, first, min(last, length), last > length))
    deadline = None if row.deadline is None else (row.deadline - begin).total_seconds()
    return Lane(row.label, row.text, tuple(spans), deadline if deadline is not None and deadline <= length else None)
