"""Steps of a timeline: the answers of lookups, which rules matched, and what LiveKit did with the caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.audit.calls.duration import duration_text
from app.audit.calls.step import Step, StepKind
from app.audit.records.action_records import ActionRecord
from app.audit.records.record_types import AuditRecord, EventDetail
from app.db.columns.action_types import CallerActionKind, CallerActionStatus
from app.db.types import EventOutcome, parse_instant
from app.webhook.lookup_answers import AnswerStatus


def lookup_steps(event: EventDetail) -> Iterator[Step]:
    """Yield a step for each lookup that was asked about the event, at the time of its answer."""
    for name, answer in (event.lookups or {}).items():
        answered_at = _answered_at(answer)
        if answered_at is None or answered_at < event.received_at:
            continue  # a replay has the answers of before
        seconds, status = answer.get("seconds") or 0.0, answer.get("status")
        title = f"lookup {name!r} was answered from the cache"
        if not answer.get("cached"):
            words = "was answered" if status == AnswerStatus.OK else "was not answered: its default is used"
            title = f"lookup {name!r} {words}"
        facts = {"status": str(status), "seconds": seconds}
        reason = str(answer.get("error", "")) or f"after {duration_text(seconds)}"
        yield Step(answered_at, StepKind.LOOKUP, title, reason, event_id=event.id, facts=facts)


def _answered_at(answer: Any) -> datetime | None:
    try:
        return parse_instant(answer["asked_at"]) + timedelta(seconds=answer["seconds"])
    except (KeyError, TypeError, ValueError):
        return None


def _decided_at(event: EventDetail) -> datetime:
    """Return when the rules were evaluated: at once, or when the last lookup was answered."""
    answered = filter(None, map(_answered_at, (event.lookups or {}).values()))
    return max([event.received_at, *answered])


def decision_step(event: EventDetail) -> Step | None:
    """Return the step of the rules' decision about an event; None when no rules were evaluated."""
    decision = event.decision or {}
    if event.outcome is EventOutcome.LOOKING_UP:
        names = ", ".join(repr(name) for name in decision.get("waits_for") or ())
        title = f"the answer of {names} is awaited" if names else "the rules are evaluated later"
        reason = str(decision.get("reason", ""))
        return Step(event.received_at, StepKind.DECISION, title, reason, event_id=event.id)
    matched = [str(entry.get("rule")) for entry in _entries(decision, "matched")]
    passed_over = _entries(decision, "passed_over")
    why = str(decision.get("reason", ""))
    version = decision.get("rules_version", event.rules_version)
    facts = {"rules_version": version, "outcome": str(event.outcome)}
    served_by = [str(one) for one in decision.get("served_by") or ()]
    if served_by:
        facts["served_by"] = served_by
    if matched:
        names = ", ".join(repr(name) for name in matched)
        title = f"{'rule' if len(matched) == 1 else 'rules'} {names} matched"
        if served_by and not decision.get("dispatches"):
            why = why or "another dispatch already serves this caller with that agent"
    elif event.outcome is EventOutcome.NO_MATCH and not why:
        title = "no rule matched"
    elif why:
        title = "no agent was dispatched"
    else:
        return None
    near = [f"{entry.get('rule')!r} would have matched, but is {_PASSED_OVER.get(str(entry.get('outcome')), 'off')}"
            for entry in passed_over]  # fmt: skip
    reason = "; ".join([*([why] if why else []), *near])
    return Step(_decided_at(event), StepKind.DECISION, title, reason, event_id=event.id, facts=facts)


_PASSED_OVER = {"paused": "paused", "out_of_hours": "out of hours", "outside_rollout": "not rolled out to this caller"}


def _entries(decision: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries = decision.get(name)
    return [one for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []


_TITLES = {
    CallerActionStatus.SENDING: "LiveKit is asked to {what}",
    CallerActionStatus.DONE: "{done}",
    CallerActionStatus.FAILED: "LiveKit did not {what}",
    CallerActionStatus.CANCELLED: "it is not necessary any more to {what}",
}


def action_step(action: ActionRecord, change: AuditRecord) -> Step:
    """Return the step of one change of an action's state."""
    what, done = _words(action)
    state = CallerActionStatus(change.to_state)
    if change.from_state is None:
        title = f"rule {action.rule_name!r} asks LiveKit to {what}"
    elif state is CallerActionStatus.PENDING:
        title = f"LiveKit will be asked again to {what}"
    else:
        title = _TITLES[state].format(what=what, done=done)
    facts = {"action_id": action.id, "rule": action.rule_name, "participant_sid": action.participant_sid}
    if action.transfer_to is not None:
        facts["transfer_to"] = action.transfer_to
    return Step(
        change.changed_at,
        StepKind.ACTION,
        title,
        change.reason,
        change.changed_by,
        dispatch_id=action.dispatch_id,
        facts=facts,
        action_state=state,
    )


def _words(action: ActionRecord) -> tuple[str, str]:
    """Return what is to be done, and what has been done."""
    if action.kind is CallerActionKind.REMOVE:
        return "remove the caller", "the caller has been removed"
    return f"transfer the call to {action.transfer_to}", f"the call has been transferred to {action.transfer_to}"
