"""The columns of a dispatch at each point of its life: created, replacing, redriven, leased, ended.

Identities and instants are arguments, so that what calls this stays free of clocks and of chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.db.rule_columns import MAX_FALLBACKS
from app.db.types import Cause, DispatchStatus, ReplacesKind
from app.outbox.dispatch import IS_RETURN, Dispatch
from app.plan.build import Intent
from app.rules.fallbacks import Fallback
from app.translation import recorded
from app.webhook.event import Event

_COPIED_TO_REPLACEMENT = (
    "event_id",
    "rule_id",
    "rule_name",
    "rules_version",
    "project",
    "room_name",
    "room_sid",
    "participant_identity",
    "participant_sid",
    "agent_name",
    "metadata",
    "attributes",
    "deployment",
    "scope",
    "intent_key",
    "answer_timeout_s",
    "max_attempts",
    "fallbacks",
    "on_no_show",
    "transfer_to",
    "min_stay_s",
    "recover",
    "unlisted_at",
    "withdraw",
    "max_calls",
    "queue_timeout_s",
    "queue_priority",
    "announce",
)
_UNSENT: Mapping[str, Any] = {
    "attempts": 0,
    "counted_attempts": 0,
    "rung": 0,
    "asked_agent_name": None,
    "queued_at": None,
    "placed_at": None,
    "must_look": False,
    "deletion_announced_at": None,
    "is_sent_away": False,
    "doubtful_until": None,
    "unlisted_at": None,
    "lease_owner": None,
    "lease_until": None,
    "answer_deadline": None,
    "livekit_dispatch_id": None,
    "job_id": None,
    "worker_id": None,
    "agent_identity": None,
    "agent_sid": None,
    "replaces": None,
    "replaces_kind": None,
    "handed_to": None,
    "request_key": None,
    "recoveries": 0,
    "previous": None,
    "waiting_since": None,
    "dispatched_at": None,
    "joined_at": None,
    "ended_at": None,
}
"""What no dispatch has before its first call."""


def from_intent(identity: str, event: Event, intent: Intent, rules_version: int, now: datetime) -> Dispatch:
    """Return the pending dispatch that `intent` asks for, due at once."""
    return Dispatch(
        id=identity,
        event_id=event.id,
        rule_id=intent.rule.id,
        rule_name=intent.rule.name,
        project=event.project,
        room_name=event.room_name,
        room_sid=event.room_sid,
        participant_identity=event.participant_identity,
        participant_sid=event.participant_sid,
        status=DispatchStatus.PENDING,
        cause=Cause.RULE_MATCHED,
        reason=f"rule {intent.rule.name!r} matched",
        next_attempt_at=now,
        created_at=now,
        **asked_for(intent, rules_version),
        **_UNSENT,
    )


def asked_for(intent: Intent, rules_version: int) -> dict[str, Any]:
    """Return the columns that a rule fills: what to ask LiveKit for, and how long and how often."""
    rule = intent.rule
    return {
        "rules_version": rules_version,
        "agent_name": intent.agent_name,
        "metadata": intent.metadata,
        "attributes": dict(intent.attributes),
        "deployment": rule.deployment,
        "scope": intent.scope,
        "intent_key": intent.intent_key,
        "answer_timeout_s": rule.answer_timeout_s,
        "max_attempts": rule.max_attempts,
        "fallbacks": _ladder(rule.fallback_agents) or None,
        "on_no_show": rule.on_no_show,
        "transfer_to": rule.transfer_to,
        "min_stay_s": rule.min_stay_s,
        "recover": rule.recover,
        "withdraw": rule.withdraw,
        "max_calls": rule.max_calls,
        "queue_timeout_s": rule.queue_timeout_s,
        "queue_priority": rule.queue_priority,
        "announce": rule.announce,
    }


def _ladder(fallbacks: Sequence[Fallback]) -> list[dict[str, Any]]:
    return [
        _rung(one.agent_name, one.answer_timeout_s, one.max_attempts, place) for place, one in enumerate(fallbacks, 1)
    ]


def _rung(agent_name: str, answer_timeout_s: int, max_attempts: int, rule_rung: int) -> dict[str, Any]:
    """Return one entry of `fallbacks`; `rule_rung` says whose template makes its metadata: 0 is the rule's own."""
    return {
        "agent_name": agent_name,
        "answer_timeout_s": answer_timeout_s,
        "max_attempts": max_attempts,
        "rule_rung": rule_rung,
    }


def ladder_back_to(dispatch: Dispatch, *, returns: int | None = None) -> list[dict[str, Any]]:
    """Return the fallbacks of an agent that took over from that of `dispatch`: that one again, then those after it.

    `returns`: how many agents that had the call before may be asked again; None: all of them.
    """
    present = _rung(dispatch.agent_to_ask, dispatch.wait_s, dispatch.attempts_allowed, dispatch.rule_rung)
    ladder = [{**present, IS_RETURN: True}, *(dict(one) for one in (dispatch.fallbacks or ())[dispatch.rung :])]
    had_call = [place for place, one in enumerate(ladder) if one.get(IS_RETURN)]
    left_out = set() if returns is None else set(had_call[returns:])
    return [one for place, one in enumerate(ladder) if place not in left_out][:MAX_FALLBACKS]


def at_rung(dispatch: Dispatch, rung: int, agent_name: str) -> dict[str, Any]:
    """Return the columns of a dispatch that asks `agent_name` of this rung; a return to an agent is a recovery."""
    columns = {"rung": rung, "asked_agent_name": agent_name, "counted_attempts": 0, "placed_at": None}
    if rung != dispatch.rung and dispatch.is_return_at(rung):
        columns["recoveries"] = dispatch.recoveries + 1
    return columns


def replacement_of(dispatch: Dispatch, identity: str, now: datetime) -> Dispatch:
    """Return the pending dispatch that asks again for the agent of one that has ended.

    It has the place of the agent that left, if it is to ask for the same one.
    """
    has_place = dispatch.rung == 0 and dispatch.asked_agent_name is None and dispatch.holds_place
    copied = {name: getattr(dispatch, name) for name in _COPIED_TO_REPLACEMENT}
    columns: dict[str, Any] = {
        **_UNSENT,
        **copied,
        "replaces": dispatch.id,
        "replaces_kind": ReplacesKind.RECOVERY,
        "recoveries": dispatch.recoveries + 1,
        "placed_at": now if has_place else None,
    }
    return Dispatch(
        id=identity,
        status=DispatchStatus.PENDING,
        cause=Cause.REPLACES_AGENT,
        reason=f"replaces the agent of dispatch {dispatch.id}",
        next_attempt_at=now,
        created_at=now,
        **columns,
    )


def redrive_of(dispatch: Dispatch, identity: str, now: datetime) -> Dispatch:
    """Return the pending dispatch that an operator puts in the place of one that ended without an agent."""
    return replacement_of(dispatch, identity, now)._replace(
        replaces_kind=ReplacesKind.REDRIVE,
        cause=Cause.REDRIVEN,
        reason=recorded("redriven by hand"),
        recoveries=dispatch.recoveries,
        placed_at=None,
        must_look=dispatch.attempts > 0,
    )


def restarted(now: datetime) -> dict[str, Any]:
    """Return the columns of a failed dispatch that is tried again: due now, and LiveKit is checked first."""
    return {
        "counted_attempts": 0,
        "rung": 0,
        "asked_agent_name": None,
        "placed_at": None,
        "ended_at": None,
        "next_attempt_at": now,
        "must_look": True,
    }


def leased(owner: str, until: datetime) -> dict[str, Any]:
    """Return the columns of a dispatch whose call `owner` makes, to be claimed by others at `until`."""
    return {"lease_owner": owner, "lease_until": until, "next_attempt_at": until}


def given_back(dispatch: Dispatch, due: datetime) -> dict[str, Any]:
    """Return the columns of a leased dispatch to be claimed again at `due`: no call was made, and no attempt counts."""
    attempts = dispatch.attempts - (0 if dispatch.must_look else 1)
    return {"lease_owner": None, "lease_until": None, "next_attempt_at": due, "attempts": attempts}


def ended(now: datetime) -> dict[str, Any]:
    """Return the columns that close a dispatch."""
    return {
        "ended_at": now,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": None,
        "must_look": False,
        "deletion_announced_at": None,
        "is_sent_away": False,
        "doubtful_until": None,
    }
