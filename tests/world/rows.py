"""Values as the flows see them, each field with a likely content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.db.columns.action_types import OnNoShow
from app.db.types import Cause, DispatchStatus, Recover, Scope
from app.livekit.client import SeenDispatch, SeenJob, SeenParticipant
from app.livekit.participant.role import Role
from app.observe.observation import RoomObservation
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE, Dispatch

NOW = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
ROOM_SID = "RM_1"

_SENT = Dispatch(
    id="dispatch-1",
    event_id="event-1",
    rule_id=1,
    rule_name="rule",
    rules_version=1,
    project="default",
    room_name="room",
    room_sid=ROOM_SID,
    participant_identity="ana",
    participant_sid="PA_ana",
    agent_name="greeter",
    metadata="{}",
    attributes={},
    deployment=None,
    scope=Scope.ROOM,
    intent_key="intent-1",
    status=DispatchStatus.DISPATCHED,
    cause=Cause.RULE_MATCHED,
    reason="",
    answer_timeout_s=15,
    max_attempts=3,
    fallbacks=None,
    min_stay_s=3,
    on_no_show=OnNoShow.WAIT,
    transfer_to=None,
    recover=Recover.NEVER,
    withdraw=False,
    max_calls=None,
    queue_timeout_s=None,
    queue_priority=100,
    announce=False,
    attempts=1,
    counted_attempts=0,
    rung=0,
    asked_agent_name=None,
    next_attempt_at=None,
    queued_at=None,
    placed_at=None,
    must_look=False,
    deletion_announced_at=None,
    is_sent_away=False,
    doubtful_until=None,
    unlisted_at=None,
    lease_owner=None,
    lease_until=None,
    answer_deadline=NOW + timedelta(seconds=5),
    livekit_dispatch_id="AD_1",
    job_id=None,
    worker_id=None,
    agent_identity=None,
    agent_sid=None,
    replaces=None,
    replaces_kind=None,
    handed_to=None,
    request_key=None,
    recoveries=0,
    previous=None,
    created_at=NOW - timedelta(seconds=10),
    waiting_since=None,
    dispatched_at=NOW - timedelta(seconds=10),
    joined_at=None,
    ended_at=None,
)


def dispatch(number: int = 1, **changes: Any) -> Dispatch:
    """Return a dispatch that LiveKit has written down ten seconds ago."""
    named = _SENT._replace(id=f"dispatch-{number}", intent_key=f"intent-{number}", livekit_dispatch_id=f"AD_{number}")
    return named._replace(**changes)


def joined(number: int = 1, agent: str = "1", **changes: Any) -> Dispatch:
    """Return a dispatch whose agent is noted as `seen_agent(agent)`."""
    noted = {
        "status": DispatchStatus.JOINED,
        "agent_identity": f"agent-AJ_{agent}",
        "agent_sid": f"PA_agent_{agent}",
        "joined_at": NOW - timedelta(seconds=8),
    }
    return dispatch(number, **{**noted, **changes})


def caller(identity: str = "ana", **changes: Any) -> SeenParticipant:
    seen = SeenParticipant(
        f"PA_{identity}",
        identity,
        "STANDARD",
        Role.CALLER,
        active=True,
        agent_name="",
        joined_at=0.0,
        metadata="",
        attributes={},
        webhook_json=dict,
    )
    return replace(seen, **changes)


def seen_agent(job: str = "1", name: str = "greeter", *, age_s: float = 1.0, **changes: Any) -> SeenParticipant:
    at = NOW.timestamp() - age_s
    agent = caller(
        f"agent-AJ_{job}", sid=f"PA_agent_{job}", kind="AGENT", role=Role.AGENT, agent_name=name, joined_at=at
    )
    return replace(agent, **changes)


def seen_job(job: str = "1", **changes: Any) -> SeenJob:
    return replace(SeenJob(f"AJ_{job}", "JS_RUNNING", "", "AW_1", ""), **changes)


def seen_dispatch(
    number: int = 1, *jobs: SeenJob, mark: str | None = "", name: str = "greeter", **changes: Any
) -> SeenDispatch:
    """Return a listed dispatch; `mark` is ours by default, None for one without."""
    attributes: Mapping[str, str] = {} if mark is None else {DISPATCH_ID_ATTRIBUTE: mark or f"dispatch-{number}"}
    return replace(SeenDispatch(f"AD_{number}", name, "{}", attributes, jobs, deleted=False), **changes)


def room(
    *participants: SeenParticipant, listed: Sequence[SeenDispatch] | None = (), sid: str = ROOM_SID
) -> RoomObservation:
    return RoomObservation("default", "room", sid, participants, None if listed is None else tuple(listed), NOW)
