"""What people read about an incident: its title, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.db.types import IncidentKind
from app.livekit.failures.trouble import TroubleKind
from app.translation import gettext, ngettext, translatable

_K = IncidentKind

NOT_CONFIGURED: Final = "not_configured"
"""Reason of `livekit_unreachable` for a project that was removed from the settings while callers wait there."""

_CONFIGURE_AGAIN: Final = translatable(
    "Add the project to USHER_PROJECTS_FILE again and restart Usher, or cancel its dispatches."
)
REMEDIES: Final[Mapping[IncidentKind, str]] = {
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
    _K.REPLICA_CLOCK: "Synchronise the clock of this machine with a time server: more than a "
    "minute behind or six ahead, it refuses LiveKit's webhooks.",
    _K.WEBHOOK_PAUSED: "Mend the endpoint, send it a test, and resume the subscription.",
}


def title_of(kind: IncidentKind, subject: str, project: str, count: int, detail: Mapping[str, Any]) -> str:
    """Return what is wrong, in one sentence without a full stop."""
    where = "" if project in {"", "default"} else gettext(" of project %(project)s", project=project)
    match kind:
        case _K.AGENT_NOT_JOINING:
            return _agent_title(subject, where, count, detail)
        case _K.NO_SHOW:
            return gettext(
                "No agent joined for %(callers)s of rule %(rule)s%(where)s%(within)s",
                callers=_callers(count),
                rule=repr(subject),
                where=where,
                within=_within(count, gettext("15 minutes")),
            )
        case _K.NO_RULE:
            within = _within(count, gettext("15 minutes"))
            text = translatable("%(callers)s%(where)s matched no rule%(within)s")
            return gettext(text, callers=_callers(count), where=where, within=within)
        case _K.OBJECTIVE_BURNING:
            return _objective_title(subject, detail)
        case _K.LIVEKIT_REFUSES:
            text = translatable("LiveKit%(where)s refuses Usher's %(what)s: %(text)s")
            return gettext(text, where=where, what=_refused(detail), text=detail.get("text", ""))
        case _K.LIVEKIT_UNREACHABLE:
            return _unreachable_title(project, where, count, detail)
        case _K.WEBHOOKS_SILENT:
            text = translatable("LiveKit's webhooks%(where)s do not reach Usher: the sweep found %(callers)s")
            return gettext(text, where=where, callers=_callers(count))
        case _K.RULE_BROKEN:
            return _broken_title(subject, detail)
        case _K.QUEUE_GROWING:
            waiting = int(detail.get("waiting", count))
            return ngettext(
                "The queue of agent %(agent)s%(where)s grows: %(num)s caller waits",
                "The queue of agent %(agent)s%(where)s grows: %(num)s callers wait",
                waiting,
                agent=repr(subject),
                where=where,
            )
        case _K.REPLICA_CLOCK:
            return _clock_title(subject, int(detail.get("ahead_s", 0)))
        case _K.WEBHOOK_PAUSED:
            text = translatable("Webhooks to %(name)s are paused: its endpoint failed for long or is gone (410)")
            return gettext(text, name=repr(subject))


def remedy_of(kind: IncidentKind, detail: Mapping[str, Any]) -> str:
    """Return what to do."""
    if kind in {_K.LIVEKIT_REFUSES, _K.LIVEKIT_UNREACHABLE}:
        reason = str(detail.get("reason", ""))
        if reason == NOT_CONFIGURED:
            return gettext(_CONFIGURE_AGAIN)
        known = TroubleKind(reason) if reason in set(TroubleKind) else TroubleKind.UNREACHABLE
        return gettext(known.remedy)
    if kind is _K.RULE_BROKEN and "table" in detail:
        text = translatable(
            "Correct the column in the table %(table)s, with SQL or in the console. Its other rows are not affected."
        )
        return gettext(text, table=detail["table"])
    return gettext(REMEDIES[kind])


def _agent_title(agent: str, where: str, count: int, detail: Mapping[str, Any]) -> str:
    failed, of = detail.get("failed", 0), detail.get("of", 0)
    attempts = gettext("its only attempt failed")
    if of > 1:
        attempts = gettext("%(failed)s of its last %(of)s attempts failed", failed=failed, of=of)
    waiting = detail.get("waiting", 0)
    within = _within(count, gettext("an hour"))
    callers = gettext("%(callers)s concerned%(within)s", callers=_callers(count), within=within)
    if waiting:
        callers += gettext(", %(callers)s waiting now", callers=waiting)
    if detail.get("probe"):
        callers += gettext("; its latest probe failed: %(error)s", error=detail["probe"])
    return gettext(
        "Agent %(agent)s%(where)s does not join: %(attempts)s; %(callers)s",
        agent=repr(agent),
        where=where,
        attempts=attempts,
        callers=callers,
    )


def _objective_title(rule: str, detail: Mapping[str, Any]) -> str:
    objective = detail.get("objective", "")
    title = gettext("Rule %(rule)s misses its objective (%(objective)s)", rule=repr(rule), objective=objective)
    if "missed" not in detail:
        return title
    text = translatable("%(title)s: %(missed)s of %(of)s missed it in the last hour")
    return gettext(text, title=title, missed=detail["missed"], of=detail["of"])


def _clock_title(replica: str, ahead_s: int) -> str:
    text = translatable("The clock of replica %(replica)s is %(seconds)s s behind the database's")
    if ahead_s > 0:
        text = translatable("The clock of replica %(replica)s is %(seconds)s s ahead of the database's")
    return gettext(text, replica=replica, seconds=abs(ahead_s))


def _broken_title(subject: str, detail: Mapping[str, Any]) -> str:
    problem = gettext(next(iter(detail.get("problems", ())), ""))  # one of some texts, or what names a column
    if "table" not in detail:
        return gettext("Rule %(rule)s cannot be used: %(problem)s", rule=repr(subject), problem=problem)
    noun, name = gettext(subject.partition(" ")[0].capitalize()), repr(detail.get("name", ""))
    text = translatable("%(noun)s %(name)s has a value that cannot be used: %(problem)s")
    return gettext(text, noun=noun, name=name, problem=problem)


def _callers(count: int) -> str:
    return ngettext("%(num)s caller", "%(num)s callers", count)


def _within(count: int, time: str) -> str:
    """Return over which time callers were counted: only the most at a time are known, not how many there were."""
    return gettext(" within %(time)s", time=time) if count > 1 else ""


def _refused(detail: Mapping[str, Any]) -> str:
    match detail.get("reason"):
        case TroubleKind.UNKNOWN_KEY:
            return gettext("API key")
        case TroubleKind.WRONG_CLOCK:
            return gettext("clock")
        case _:
            return gettext("API secret")


def _unreachable_title(project: str, where: str, count: int, detail: Mapping[str, Any]) -> str:
    if detail.get("reason") != NOT_CONFIGURED:
        return f"LiveKit{where} {_unreachable(detail)}: {detail.get('text', '')}"
    return ngettext(
        "Project %(project)s is not configured: %(num)s caller waits",
        "Project %(project)s is not configured: %(num)s callers wait",
        int(detail.get("waiting", count)),
        project=repr(project),
    )


def _unreachable(detail: Mapping[str, Any]) -> str:
    match detail.get("reason"):
        case TroubleKind.TLS:
            return gettext("cannot be reached by TLS")
        case TroubleKind.ERROR:
            return gettext("answers with an error")
        case _:
            return gettext("does not answer")
