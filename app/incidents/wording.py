"""What people read about an incident: its title, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.db.types import IncidentKind
from app.livekit.failures.trouble import TroubleKind

_K = IncidentKind

_REMEDIES: Final[Mapping[IncidentKind, str]] = {
    _K.AGENT_NOT_JOINING: "Check that a worker runs whose agent_name is exactly this, connected to this LiveKit "
    "project, with capacity left. Its calls can be retried once it is back.",
    _K.NO_SHOW: "Open the calls to see which agents were asked, and why none joined. Give the rule a fallback, or "
    "retry the calls whose callers are still there.",
    _K.NO_RULE: "Open a call and look at which rules were tried. Add a rule for these callers, or "
    "one with the action ignore for those who need no agent.",
    _K.OBJECTIVE_BURNING: "Compare the agent's time to join with what it was before, and check that its workers have "
    "capacity.",
    _K.WEBHOOKS_SILENT: "Set LiveKit's webhook URL to this Usher, with the API key that Usher uses. Until then callers "
    "wait for the sweep.",
    _K.RULE_BROKEN: "Edit the rule: until then it is skipped, or its callers get no agent.",
    _K.QUEUE_GROWING: "Add workers, raise the limit, or give the rule a fallback for callers who wait too long.",
    _K.REPLICA_CLOCK: "Synchronise the clock of this machine with a time server: it refuses LiveKit's webhooks from "
    "one minute on.",
    _K.WEBHOOK_PAUSED: "Mend the endpoint, send it a test, and resume the subscription.",
}


def title_of(kind: IncidentKind, subject: str, project: str, count: int, detail: Mapping[str, Any]) -> str:
    """Return what is wrong, in one sentence without a full stop."""
    where = "" if project in {"", "default"} else f" of project {project}"
    match kind:
        case _K.AGENT_NOT_JOINING:
            return _agent_title(subject, where, count, detail)
        case _K.NO_SHOW:
            return f"No agent joined for {_callers(count)} of rule {subject!r}{where}{_within(count, '15 minutes')}"
        case _K.NO_RULE:
            return f"{_callers(count)}{where} matched no rule{_within(count, '15 minutes')}"
        case _K.OBJECTIVE_BURNING:
            missed = f": {detail['missed']} of {detail['of']} missed it in the last hour" if "missed" in detail else ""
            return f"Rule {subject!r} misses its objective ({detail.get('objective', '')}){missed}"
        case _K.LIVEKIT_REFUSES:
            return f"LiveKit{where} refuses Usher's {_refused(detail)}: {detail.get('text', '')}"
        case _K.LIVEKIT_UNREACHABLE:
            return f"LiveKit{where} {_unreachable(detail)}: {detail.get('text', '')}"
        case _K.WEBHOOKS_SILENT:
            return f"LiveKit's webhooks{where} do not reach Usher: the sweep found {_callers(count)}"
        case _K.RULE_BROKEN:
            return _broken_title(subject, detail)
        case _K.QUEUE_GROWING:
            waiting = int(detail.get("waiting", count))
            verb = "waits" if waiting == 1 else "wait"
            return f"The queue of agent {subject!r}{where} grows: {_callers(waiting)} {verb}"
        case _K.REPLICA_CLOCK:
            ahead = int(detail.get("ahead_s", 0))
            direction = "ahead of" if ahead > 0 else "behind"
            return f"The clock of replica {subject} is {abs(ahead)} s {direction} the database's"
        case _K.WEBHOOK_PAUSED:
            return f"Webhooks to {subject!r} are paused: its endpoint failed for long"


def remedy_of(kind: IncidentKind, detail: Mapping[str, Any]) -> str:
    """Return what to do."""
    if kind in {_K.LIVEKIT_REFUSES, _K.LIVEKIT_UNREACHABLE}:
        reason = str(detail.get("reason", ""))
        known = TroubleKind(reason) if reason in set(TroubleKind) else TroubleKind.UNREACHABLE
        return known.remedy
    if kind is _K.RULE_BROKEN and "table" in detail:
        return (
            f"Correct the column in the table {detail['table']}, with SQL or in the console. Its other rows are not "
            "affected."
        )
    return _REMEDIES[kind]


def _agent_title(agent: str, where: str, count: int, detail: Mapping[str, Any]) -> str:
    failed, of = detail.get("failed", 0), detail.get("of", 0)
    attempts = f"{failed} of its last {of} attempts failed" if of > 1 else "its only attempt failed"
    waiting = detail.get("waiting", 0)
    callers = f"{_callers(count)} concerned{_within(count, 'an hour')}"
    if waiting:
        callers += f", {waiting} waiting now"
    if detail.get("probe"):
        callers += f"; its latest probe failed: {detail['probe']}"
    return f"Agent {agent!r}{where} does not join: {attempts}; {callers}"


def _broken_title(subject: str, detail: Mapping[str, Any]) -> str:
    problem = next(iter(detail.get("problems", ())), "")
    if "table" not in detail:
        return f"Rule {subject!r} cannot be used: {problem}"
    noun = subject.partition(" ")[0].capitalize()
    return f"{noun} {detail.get('name', '')!r} has a value that cannot be used: {problem}"


def _callers(count: int) -> str:
    return "1 caller" if count == 1 else f"{count} callers"


def _within(count: int, time: str) -> str:
    """Return over which time callers were counted: only the most at a time are known, not how many there were."""
    return f" within {time}" if count > 1 else ""


def _refused(detail: Mapping[str, Any]) -> str:
    match detail.get("reason"):
        case TroubleKind.UNKNOWN_KEY:
            return "API key"
        case TroubleKind.WRONG_CLOCK:
            return "clock"
        case _:
            return "API secret"


def _unreachable(detail: Mapping[str, Any]) -> str:
    match detail.get("reason"):
        case TroubleKind.TLS:
            return "cannot be reached by TLS"
        case TroubleKind.ERROR:
            return "answers with an error"
        case _:
            return "does not answer"
