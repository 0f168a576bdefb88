"""The server's state as LiveKit's protocol messages."""

from __future__ import annotations

from typing import Any

from livekit.protocol.agent import Job as JobMessage
from livekit.protocol.agent import JobState
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState
from livekit.protocol.models import ParticipantInfo, ParticipantPermission, TrackInfo
from livekit.protocol.models import Room as RoomMessage

from app.livekit.vocabulary import ParticipantKind
from app.simulator.entities import Dispatch, Job, Participant, Room
from app.simulator.webhook_bodies import milliseconds

_NANO = 1_000_000_000


def room_message(room: Room) -> RoomMessage:
    stamp = milliseconds(room.created_at)
    return RoomMessage(
        sid=room.sid,
        name=room.name,
        empty_timeout=round(room.empty_timeout),
        departure_timeout=round(room.departure_timeout),
        max_participants=room.max_participants,
        creation_time=stamp // 1000,
        creation_time_ms=stamp,
        turn_password=room.turn_password,
        metadata=room.metadata,
        # Of a room whose node is lost Redis has the number of before.
        num_participants=sum(_is_counted(each) for each in room.participants.values() if each.ghost != room.on_node),
        num_publishers=sum(1 for each in room.participants.values() if each.tracks),
    )


def _is_counted(participant: Participant) -> bool:
    return not participant.dependent and not participant.grants.hidden


def participant_message(participant: Participant) -> ParticipantInfo:
    stamp = milliseconds(participant.joined_at)
    # Enum numbers are LiveKit's own; protobuf takes them as they are.
    return ParticipantInfo(
        sid=participant.sid,
        identity=participant.identity,
        state=ParticipantInfo.State.Name(participant.presence),
        tracks=[TrackInfo(sid=track.sid, name=track.name) for track in participant.tracks],
        metadata=participant.metadata,
        joined_at=stamp // 1000,
        joined_at_ms=stamp,
        name=participant.name,
        version=participant.version,
        permission=ParticipantPermission(
            can_subscribe=True,
            can_publish=True,
            can_publish_data=True,
            can_update_metadata=participant.kind in (ParticipantKind.SIP, ParticipantKind.AGENT),
            agent=participant.kind == ParticipantKind.AGENT or participant.grants.agent,
            recorder=participant.grants.recorder,
            hidden=participant.grants.hidden,
        ),
        is_publisher=bool(participant.tracks),
        kind=_kind(participant.kind),
        kind_details=participant.kind_details,
        attributes=participant.attributes,
    )


def _kind(kind: str) -> Any:
    return int(kind) if kind.isdecimal() else kind


def dispatch_message(dispatch: Dispatch, now: float, *, attributes: bool = True) -> AgentDispatch:
    """Return one dispatch with the jobs that are listed at `now`; servers before 1.13.2 knew no `attributes`."""
    return AgentDispatch(
        id=dispatch.id,
        agent_name=dispatch.agent_name,
        room=dispatch.room_name,
        metadata=dispatch.metadata,
        restart_policy=dispatch.restart_policy,  # type: ignore[arg-type] # a number of the protocol's own enum
        deployment=dispatch.deployment,
        attributes=dispatch.attributes if attributes else None,
        state=AgentDispatchState(
            jobs=[_job(dispatch, job) for job in dispatch.jobs if job.listed_from <= now],
            created_at=int(dispatch.created_at.timestamp() * _NANO),
        ),
    )


def _job(dispatch: Dispatch, job: Job) -> JobMessage:
    return JobMessage(
        id=job.id,
        dispatch_id=job.dispatch_id,
        metadata=dispatch.metadata,
        agent_name=dispatch.agent_name,
        deployment=dispatch.deployment,
        state=JobState(
            status=job.status.value,
            error=job.error,
            started_at=int(job.assigned_at.timestamp() * _NANO),
            ended_at=int(job.ended_at.timestamp() * _NANO) if job.ended_at else 0,
            updated_at=int(job.updated_at.timestamp() * _NANO),
            participant_identity=job.identity,
            worker_id=job.worker_id,
            reason=job.reason or None,
        ),
    )
