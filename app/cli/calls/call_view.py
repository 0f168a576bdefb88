"""Calls, timelines and explanations on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.audit import CallState, CallSteps, DispatchRecord, RulesTried, Step, StepKind, TriedRule, duration_text
from app.cli.framework.moment import show_moment
from app.cli.framework.terminal import plain, table
from app.db.types import DispatchStatus, EventOutcome
from app.rules.book.decision import Outcome

STATUS_STYLES = {
    DispatchStatus.PENDING: "yellow",
    DispatchStatus.SENDING: "yellow",
    DispatchStatus.DISPATCHED: "yellow",
    DispatchStatus.JOINED: "green",
    DispatchStatus.ENDED: "",
    DispatchStatus.NO_SHOW: "bold red",
    DispatchStatus.FAILED: "bold red",
    DispatchStatus.CANCELLED: "magenta",
}
OUTCOME_STYLES = {
    EventOutcome.PLANNED: "green",
    EventOutcome.SERVED: "green",
    EventOutcome.NO_MATCH: "yellow",
    EventOutcome.IGNORED: "dim",
    EventOutcome.LOOKING_UP: "yellow",
}
STATE_STYLES = {
    CallState.WAITING: "yellow",
    CallState.ANSWERED: "green",
    CallState.NO_SHOW: "bold red",
    CallState.FAILED: "bold red",
    CallState.NO_MATCH: "bold red",
    CallState.ABANDONED: "magenta",
}
_SHOWN_RULES = 40


def timeline_view(timeline: CallSteps) -> RenderableType:
    """Return a timeline: a sentence, the participant and room, and the steps with their times and reasons."""
    call = timeline.call
    head = Text.assemble(
        plain(call.participant_identity or call.room_name, "bold"),
        " in room ",
        plain(call.room_name, "bold"),
        "  ",
        (str(call.state).replace("_", " "), STATE_STYLES.get(call.state, "")),
    )
    ids = [
        f"{name} {value}"
        for name, value in (
            ("project", call.project),
            ("participant", call.participant_sid),
            ("room", call.room_sid),
            ("phone", call.phone_number),
            ("dialled", call.called_number if call.called_number != call.phone_number else None),
        )
        if value
    ]
    parts: list[RenderableType] = [head, plain(timeline.summary), plain("  ".join(ids), "dim"), "", _steps(timeline)]
    return Group(*parts)


def _steps(timeline: CallSteps) -> Table:
    steps = table("time", "after", "what happened", narrow=("time", "after"))
    steps.columns[1].justify = "right"
    day = ""
    for step in timeline.steps:
        moment = show_moment(step.at, milliseconds=True)
        if moment[:10] != day:
            day = moment[:10]
            steps.add_row(Text(day, "dim"), "", "")
        after = "" if step.seconds_since_joining is None else duration_text(step.seconds_since_joining)
        steps.add_row(moment[11:], after, step_text(step))
    return steps


def step_text(step: Step) -> Text:
    """Return one step: what happened, why, by which user, and its ids."""
    style = STATUS_STYLES.get(step.state, "") if step.state else ""
    text = plain(step.title, style or ("bold" if step.kind is StepKind.EVENT else ""))
    beside = [step.reason] if step.reason else []
    if step.by not in {"usher", "livekit"}:
        beside.append(f"by {step.by}")
    shown = {name: step.facts[name] for name in ("served_by", "agent_identity", "job_id") if name in step.facts}
    beside += [f"{name.replace('_', ' ')} {_words(value)}" for name, value in shown.items()]
    for line in beside:
        text.append("\n").append_text(plain(line, "dim"))
    return text


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def dispatch_view(record: DispatchRecord) -> RenderableType:
    """Return the columns of a dispatch: its ids, state, metadata and attributes."""
    row = record.dispatch
    grid = Table.grid(padding=(0, 2))
    facts = {
        "dispatch": row.id,
        "event": row.event_id,
        "rule": f"{row.rule_name} (id {row.rule_id}, version {row.rules_version})",
        "agent": row.agent_name if not row.is_fallback else f"{row.agent_name}, then the fallback {row.agent_to_ask}",
        "status": row.status,
        "reason": row.reason,
        "scope": row.scope,
        "deployment": row.deployment,
        "LiveKit dispatch": row.livekit_dispatch_id,
        "job": row.job_id,
        "worker": row.worker_id,
        "agent identity": row.agent_identity,
        "replaces": row.replaces,
        "next attempt": show_moment(row.next_attempt_at, milliseconds=True),
        "next check": show_moment(row.answer_deadline, milliseconds=True),
        "metadata": _readable(row.metadata),
        "attributes": ", ".join(f"{name}={value}" for name, value in row.attributes.items()),
    }
    for name, value in facts.items():
        if value:
            style = STATUS_STYLES[row.status] if name == "status" else ""
            grid.add_row(Text(name, "dim"), plain(value, style))
    return grid


def _readable(metadata: str) -> str:
    """Return metadata indented if it is a JSON document, else unchanged."""
    try:
        document = json.loads(metadata)
    except (ValueError, RecursionError):
        return metadata
    return json.dumps(document, indent=2, ensure_ascii=False) if isinstance(document, dict | list) else metadata


def explanation_view(why: RulesTried, timeline: CallSteps, *, whole: bool) -> Iterator[RenderableType]:
    """Yield an explanation: the event, every rule that was tried, the current rules, and what happened next."""
    event = why.event
    who = event.participant_identity or f"room {event.room_name}"
    yield Text.assemble(
        plain(event.type, "bold"), " of ", plain(who, "bold"), " at ", show_moment(event.received_at, milliseconds=True)
    )
    yield plain(f"event {event.id}, evaluated by version {why.rules_version} of the rules", "dim")
    yield ""
    if why.doubt:
        yield plain(f"Warning: {why.doubt}.", "yellow")
    yield from _rules_tried(why, whole=whole)
    yield ""
    if why.matching_now is not None:
        yield _matching_now(why)
        yield ""
    yield timeline_view(timeline)


def _rules_tried(why: RulesTried, *, whole: bool) -> Iterator[RenderableType]:
    if why.event.body is None:
        yield plain(f"Matched then: {', '.join(why.matched) or 'no rule'}.")
        return
    if not why.rules:
        yield Text("There were no rules.", "yellow")
        return
    shown = why.rules if whole or len(why.rules) <= _SHOWN_RULES else _most_relevant(why.rules)
    tried = table("", "rule", "why", narrow=("",))
    for one in shown:
        tried.add_row(_mark(one), _rule_text(one), _verdict_text(one))
    yield tried
    if len(shown) < len(why.rules):
        yield plain(f"… and {len(why.rules) - len(shown)} other rules that did not match (--all shows them)", "dim")


def _most_relevant(rules: tuple[TriedRule, ...]) -> list[TriedRule]:
    """Return the rules that matched or nearly matched, then the first others up to `_SHOWN_RULES`, in their order."""
    near = [one for one in rules if one.outcome not in {Outcome.PATTERN, Outcome.DISABLED}]
    others = [one for one in rules if one.outcome in {Outcome.PATTERN, Outcome.DISABLED}]
    kept = {id(one) for one in (*near, *others[: max(0, _SHOWN_RULES - len(near))])}
    return [one for one in rules if id(one) in kept]


def _mark(one: TriedRule) -> Text:
    match one.outcome:
        case Outcome.MATCHED:
            return Text("yes", "bold green")
        case Outcome.BAD:
            return Text("bad", "bold red")
        case _:
            return Text("no", "dim")


def _rule_text(one: TriedRule) -> Text:
    text = plain(one.rule, "bold" if one.outcome is Outcome.MATCHED else "")
    if one.goal:
        text.append("\n").append_text(plain(f"→ {one.goal}", "dim"))
    return text


def _verdict_text(one: TriedRule) -> Text:
    if one.path is None:
        return plain(one.words)
    found = ", ".join(one.found or ()) or "nothing"
    return Text.assemble(
        plain(one.path, "cyan"), "\nexpected ", plain(one.expected or ""), "\nfound ", plain(found, "bold")
    )


def _matching_now(why: RulesTried) -> RenderableType:
    names = ", ".join(f"{one.rule!r} (→ {one.goal})" for one in why.matching_now or ())
    since = f"The rules have been edited since (now version {why.present_version}): "
    return plain(since + (f"the event would match {names}." if names else "no rule would match either."), "dim")
