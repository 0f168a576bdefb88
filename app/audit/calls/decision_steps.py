"""Steps of a timeline: the answers of lookups, which rules matched, and what LiveKit did with the caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.audit.calls.cause_texts import stored_text
from app.audit.calls.change_reasons import reason_of_action, reason_of_decision
from app.audit.calls.duration import duration_text
from app.audit.calls.step import Step, StepKind
from app.audit.records.action_records import ActionRecord
from app.audit.records.record_types import AuditRecord, EventDetail
from app.db.columns.action_types import CallerActionKind, CallerActionStatus
from app.db.types import EventOutcome, parse_instant
from app.translation import gettext, listed, ngettext, translatable
from app.webhook.lookup_answers import AnswerStatus


def lookup_steps(event: EventDetail) -> Iterator[Step]:
    """Yield a step for each lookup that was asked about the event, at the time of its answer."""
    for name, answer in (event.lookups or {}).items():
        answered_at = _answered_at(answer)
        if answered_at is None or answered_at < event.received_at:
            continue  # a replay has the answers of before
        seconds, status = answer.get("seconds") or 0.0, answer.get("status")
        if answer.get("cached"):
            title = gettext("lookup %(name)s was answered from the cache", name=repr(name))
        elif status == AnswerStatus.OK:
            title = gettext("lookup %(name)s was answered", name=repr(name))
        else:
            title = gettext("lookup %(name)s was not answered: its default is used", name=repr(name))
        facts = {"lookup": name, "status": str(status), "seconds": seconds}
        reason = stored_text(str(answer.get("error") or "")) or gettext("after %(time)s", time=duration_text(seconds))
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
        names = listed(repr(name) for name in decision.get("waits_for") or ())
        later = gettext("the rules are evaluated later")
        title = gettext("the answer of %(names)s is awaited", names=names) if names else later
        reason = reason_of_decision(event)
        return Step(event.received_at, StepKind.DECISION, title, reason, event_id=event.id)
    matched = [str(entry.get("rule")) for entry in _entries(decision, "matched")]
    passed_over = _entries(decision, "passed_over")
    why = reason_of_decision(event)
    version = decision.get("rules_version", event.rules_version)
    facts = {"rules_version": version, "outcome": str(event.outcome)}
    served_by = [str(one) for one in decision.get("served_by") or ()]
    if served_by:
        facts["served_by"] = served_by
    if matched:
        names = listed(repr(name) for name in matched)
        title = ngettext("rule %(names)s matched", "rules %(names)s matched", len(matched), names=names)
        if served_by and not decision.get("dispatches"):
            why = why or gettext("another dispatch already serves this caller with that agent")
    elif event.outcome is EventOutcome.NO_MATCH and not why:
        title = gettext("no rule matched")
    elif why:
        title = gettext("no agent was dispatched")
    else:
        return None
    near = [
        gettext(
            "%(rule)s would have matched, but is %(state)s",
            rule=repr(entry.get("rule")),
            state=gettext(_PASSED_OVER.get(str(entry.get("outcome")), translatable("off"))),
        )
        for entry in passed_over
    ]
    reason = "; ".join([*([why] if why else []), *near])
    return Step(_decided_at(event), StepKind.DECISION, title, reason, event_id=event.id, facts=facts)


_PASSED_OVER = {
    "paused": translatable("paused"),
    "out_of_hours": translatable("out of hours"),
    "outside_rollout": translatable("not rolled out to this caller"),
}


def _entries(decision: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries = decision.get(name)
    return [one for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []


_TITLES = {
    CallerActionStatus.SENDING: translatable("LiveKit is asked to %(what)s"),
    CallerActionStatus.DONE: "%(done)s",
    CallerActionStatus.FAILED: translatable("LiveKit did not %(what)s"),
    CallerActionStatus.CANCELLED: translatable("it is not necessary any more to %(what)s"),
}


def action_step(action: ActionRecord, change: AuditRecord) -> Step:
    """Return the step of one change of an action's state."""
    what, done = _words(action)
    state = CallerActionStatus(change.to_state)
    if change.from_state is None:
        title = gettext("rule %(rule)s asks LiveKit to %(what)s", rule=repr(action.rule_name), what=what)
    elif state is CallerActionStatus.PENDING:
        title = gettext("LiveKit will be asked again to %(what)s", what=what)
    else:
        title = gettext(_TITLES[state], what=what, done=done)
    facts = {"action_id": action.id, "rule": action.rule_name, "participant_sid": action.participant_sid}
    if action.transfer_to is not None:
        facts["transfer_to"] = action.transfer_to
    return Step(
        change.changed_at,
        StepKind.ACTION,
        title,
        reason_of_action(action, change),
        change.changed_by,
        dispatch_id=action.dispatch_id,
        facts=facts,
        action_state=state,
    )


def _words(action: ActionRecord) -> tuple[str, str]:
    """Return what is to be done, and what has been done."""
    if action.kind is CallerActionKind.REMOVE:
        return gettext("remove the caller"), gettext("the caller has been removed")
    what = gettext("transfer the call to %(target)s", target=action.transfer_to)
    return what, gettext("the call has been transferred to %(target)s", target=action.transfer_to)
