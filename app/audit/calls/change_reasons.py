"""Why dispatches and actions changed their state, in the language of the reader of a timeline.

English readers get the stored text. For others it is translated if it is a fixed one; if it has names and figures,
what is said comes from the columns of the dispatch and its attempts. What is known from the text alone, such as an
answer of LiveKit, is quoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.audit.calls.cause_texts import CAUSE_TEXTS, is_english, is_translated, quoted, reason_text, stored_text
from app.audit.calls.duration import duration_text
from app.audit.records.action_records import ActionRecord
from app.audit.records.record_types import (
    AttemptRecord,
    AuditRecord,
    DispatchRecord,
    EventDetail,
    decided_because,
    ignored_by,
)
from app.db.types import AttemptOutcome, Cause, DispatchStatus, ReplacesKind
from app.translation import gettext, ngettext

_PENDING, _SENDING, _DISPATCHED, _JOINED = (
    DispatchStatus.PENDING, DispatchStatus.SENDING, DispatchStatus.DISPATCHED, DispatchStatus.JOINED,
)  # fmt: skip
_CAUSES: Final[Mapping[tuple[str | None, str], Cause]] = {
    (None, DispatchStatus.FAILED): Cause.TEMPLATE_FAILED,
    (None, DispatchStatus.CANCELLED): Cause.OVER_BUDGET,
    (_PENDING, _SENDING): Cause.CLAIMED,
    (_PENDING, _PENDING): Cause.QUEUED,
    (_DISPATCHED, _DISPATCHED): Cause.AGENT_OVERDUE,
    (_DISPATCHED, _PENDING): Cause.NO_AGENT,
    (_DISPATCHED, DispatchStatus.NO_SHOW): Cause.NO_AGENT,
    (_JOINED, _PENDING): Cause.AGENT_LEFT_EARLY,
    (_JOINED, DispatchStatus.NO_SHOW): Cause.AGENT_LEFT_EARLY,
    (_JOINED, _JOINED): Cause.AGENT_JOINED,
    (_JOINED, _DISPATCHED): Cause.AGENT_NOT_OURS,
}
"""What made a dispatch go from one state to another, where its reason has names or figures in it."""
_CREATED: Final[Mapping[ReplacesKind | None, Cause]] = {
    None: Cause.RULE_MATCHED,
    ReplacesKind.RECOVERY: Cause.REPLACES_AGENT,
    ReplacesKind.REDRIVE: Cause.REDRIVEN,
    ReplacesKind.HANDOVER: Cause.HANDOVER,
}


def reason_of_change(record: DispatchRecord, change: AuditRecord) -> str:
    """Return why a dispatch changed its state."""
    cause = _cause_of(record, change)
    if is_english() or not change.reason or cause is None or _is_fixed(change.reason):
        return stored_text(change.reason)
    if change.from_state == change.to_state and change.changed_by != "usher":
        return gettext("the call is being handed over")
    dispatch = record.dispatch
    match cause:
        case Cause.RULE_MATCHED:
            return _rule_matched(dispatch.rule_name)
        case Cause.TEMPLATE_FAILED:
            return f"{gettext(CAUSE_TEXTS[cause])}: {quoted(change.reason)}"
        case Cause.HANDOVER:
            return gettext(CAUSE_TEXTS[cause]) + _given_by(change.changed_by, change.reason)
        case Cause.NO_AGENT | Cause.FALLBACK | Cause.AGENT_LEFT_EARLY if change.from_state in {_DISPATCHED, _JOINED}:
            return _after_attempt(record, change)
        case Cause.FALLBACK:  # it has waited in the queue
            return gettext(CAUSE_TEXTS[Cause.QUEUED])
        case Cause.AGENT_JOINED if dispatch.agent_identity and earlier_attempt(record, change) is None:
            return gettext("LiveKit lists %(identity)s as the agent", identity=dispatch.agent_identity)
        case Cause.CLAIMED:
            return gettext("%(agent)s has a free place", agent=_next_agent(record, change))
        case Cause.CALLER_LEFT:
            waited = duration_text(max(0.0, (change.changed_at - dispatch.waits_since).total_seconds()))
            return gettext("the caller left after %(time)s", time=waited)
        case Cause.AGENT_LEFT | Cause.AGENT_LOST:
            return gettext(CAUSE_TEXTS[cause]) + _what_follows(change.reason)
        case _:
            return gettext(CAUSE_TEXTS[cause])


def reason_of_action(action: ActionRecord, change: AuditRecord) -> str:
    """Return why an action on a caller changed its state."""
    if is_english() or change.from_state is not None or _is_fixed(change.reason):
        return stored_text(change.reason)
    return _rule_matched(action.rule_name) if action.dispatch_id is None else gettext(CAUSE_TEXTS[Cause.NO_AGENT])


def reason_of_decision(event: EventDetail) -> str:
    """Return the reason that is stored with the rules' decision about an event; empty if there is none."""
    return reason_text(None, decided_because(event.decision), filter(None, [ignored_by(event.decision)]))


def error_of(attempt: AttemptRecord) -> str:
    """Return how a call to LiveKit, or the attempt that it began, failed: its code and text; empty if it did not."""
    text = attempt.error_text or ""
    if attempt.job_id:
        text = text.removesuffix(f" (job {attempt.job_id})") if not is_english() else text
    return ": ".join(part for part in (attempt.error_code, stored_text(text)) if part)


def early_leaving_of(record: DispatchRecord, attempt: AttemptRecord) -> str:
    """Return how the agent of an attempt left before `min_stay_s`."""
    if is_english() or attempt.joined_at is None or attempt.left_at is None:
        return stored_text(attempt.error_text or "")
    stayed = duration_text((attempt.left_at - attempt.joined_at).total_seconds())
    least = duration_text(record.dispatch.min_stay_s)
    return gettext("left after %(time)s of at least %(least)s", time=stayed, least=least)


def _attempt_before(record: DispatchRecord, change: AuditRecord) -> AttemptRecord | None:
    """Return the latest attempt before a change; None if there was none."""
    before = [one for one in record.calls if one.started_at <= change.changed_at]
    return before[-1] if before else None


def earlier_attempt(record: DispatchRecord, change: AuditRecord) -> AttemptRecord | None:
    """Return the attempt of a change if it is not the latest one, of which the columns of the dispatch tell."""
    attempt = _attempt_before(record, change)
    return None if attempt is None or attempt is record.calls[-1] else attempt


def _cause_of(record: DispatchRecord, change: AuditRecord) -> Cause | None:
    dispatch = record.dispatch
    if change == record.changes[-1]:
        return dispatch.cause
    if change.from_state is None and change.to_state not in {DispatchStatus.FAILED, DispatchStatus.CANCELLED}:
        return _CREATED[dispatch.replaces_kind]
    return _CAUSES.get((change.from_state, change.to_state))


def _after_attempt(record: DispatchRecord, change: AuditRecord) -> str:
    """Return how the latest attempt before a change failed, and what follows."""
    failed = _attempt_before(record, change)
    if failed is None:
        return gettext(CAUSE_TEXTS[Cause.NO_AGENT])
    if failed.outcome == AttemptOutcome.LEFT_EARLY:
        text = f"{failed.agent_name} {early_leaving_of(record, failed)}"
    else:
        text = gettext("%(agent)s did not join", agent=failed.agent_name)
        text = ": ".join(part for part in (text, error_of(failed)) if part)
    if change.to_state == DispatchStatus.NO_SHOW:
        return f"{text}; {gettext('no other agent is left to ask')}"
    after = _next_agent(record, change)
    if after != failed.agent_name:
        text += "; " + gettext("%(agent)s is asked instead", agent=after)
    return text


def _next_agent(record: DispatchRecord, change: AuditRecord) -> str:
    """Return the agent that is asked after a change, or was last asked."""
    after = (one.agent_name for one in record.calls if one.started_at > change.changed_at)
    return next(after, record.dispatch.agent_to_ask)


def _given_by(user: str, text: str) -> str:
    """Return the reason that a user gave for a hand-over, in quotes after a colon; empty if none was given."""
    given = text.partition(f" by {user}: ")[2]
    return f": {quoted(given)}" if given else ""


def _what_follows(text: str) -> str:
    """Return what a stored reason says after its first semicolon, with the semicolon."""
    return "".join(f"; {stored_text(part)}" for part in text.split("; ")[1:])


def _rule_matched(name: str) -> str:
    return ngettext("rule %(names)s matched", "rules %(names)s matched", 1, names=repr(name))


def _is_fixed(reason: str) -> bool:
    return is_translated(reason) or stored_text(reason) != quoted(reason)
