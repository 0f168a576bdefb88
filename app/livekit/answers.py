"""LiveKit's answers as the records of `client.py`. Enum values that are not known are kept as their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from google.protobuf.json_format import MessageToDict
from livekit.protocol.agent import Job, JobState, JobStatus
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import ParticipantInfo, Room
from livekit.protocol.sip import SIPTransferStatus, TransferSIPParticipantRequest, TransferSIPParticipantResponse

from app.livekit.attributes import agent_name_of
from app.livekit.client import (
    RINGING_TIMEOUT_S,
    SeenDispatch,
    SeenJob,
    SeenParticipant,
    SeenRoom,
    TransferRequest,
)
from app.livekit.outcome import ActionOutcome, Done, ParticipantGone, Rejected, Unknown, Unreachable
from app.livekit.participant.role import Role, decide_role
from app.livekit.protojson import enum_text

Listed = TypeVar("Listed")
Seen = TypeVar("Seen")

_STEP: Final = 100
"""Entries of a list that are read in one step of the event loop, at 8 µs each."""


async def read_in_steps(read: Callable[[Listed], Seen], entries: Sequence[Listed]) -> list[Seen]:
    """Return what `read` makes of each entry; webhooks go on in between, for a room of thousands takes 50 ms."""
    seen: list[Seen] = []
    for start in range(0, len(entries), _STEP):
        seen += map(read, entries[start : start + _STEP])
        await asyncio.sleep(0)
    return seen


def seen_room(room: Room) -> SeenRoom:
    """Return a room of ListRooms."""
    return SeenRoom(room.name, room.sid, room.num_participants, partial(MessageToDict, room))


def seen_participant(participant: ParticipantInfo) -> SeenParticipant:
    """Return a participant of ListParticipants."""
    attributes = dict(participant.attributes)
    kind = enum_text(ParticipantInfo.Kind.DESCRIPTOR, participant.kind)
    return SeenParticipant(
        sid=participant.sid,
        identity=participant.identity,
        kind=kind,
        role=_role(participant, kind, attributes),
        active=participant.state == ParticipantInfo.ACTIVE,
        agent_name=agent_name_of(attributes),
        joined_at=participant.joined_at_ms / 1000 or participant.joined_at,
        metadata=participant.metadata,
        attributes=attributes,
        webhook_json=partial(MessageToDict, participant),
    )


def _role(participant: ParticipantInfo, kind: str, attributes: Mapping[str, str]) -> Role:
    granted = participant.permission
    return decide_role(
        kind,
        grants={"agent": granted.agent, "recorder": granted.recorder, "hidden": granted.hidden},
        details=[enum_text(ParticipantInfo.KindDetail.DESCRIPTOR, one) for one in participant.kind_details],
        attributes=attributes,
    )


def seen_dispatch(dispatch: AgentDispatch) -> SeenDispatch:
    """Return a dispatch of ListDispatch."""
    return SeenDispatch(
        id=dispatch.id,
        agent_name=dispatch.agent_name,
        metadata=dispatch.metadata,
        attributes=dict(dispatch.attributes),
        jobs=tuple(_seen_job(job) for job in dispatch.state.jobs),
        deleted=dispatch.state.deleted_at > 0,
        created_at=dispatch.state.created_at / 1e9,
    )


def _seen_job(job: Job) -> SeenJob:
    return SeenJob(
        id=job.id,
        status=enum_text(JobStatus.DESCRIPTOR, job.state.status),
        participant_identity=job.state.participant_identity,
        worker_id=job.state.worker_id,
        error=job.state.error,
        state_reason=_state_reason(job.state),
    )


def _state_reason(state: JobState) -> str:
    field = JobState.DESCRIPTOR.fields_by_name.get("reason")  # livekit-protocol has it since 1.1.4
    kinds: Any = field and field.enum_type
    return enum_text(kinds, state.reason) if kinds else ""


_TRANSFER_FAILED: Final = SIPTransferStatus.STS_TRANSFER_FAILED
"""Servers that do not tell how a transfer ended leave the status out, which reads as if it were under way."""


def transfer_message(request: TransferRequest) -> TransferSIPParticipantRequest:
    """Return the request of a transfer, with the time for which the other phone may ring."""
    message = TransferSIPParticipantRequest(
        room_name=request.room_name, participant_identity=request.identity, transfer_to=request.transfer_to
    )
    message.ringing_timeout.seconds = RINGING_TIMEOUT_S
    return message


def outcome_of_removal(answer: object) -> ActionOutcome:
    """Return what the answer to a RemoveParticipant, or its failure, means."""
    return _outcome(answer, "LiveKit removed the participant")


def outcome_of_transfer(answer: object) -> ActionOutcome:
    """Return what the answer to a TransferSIPParticipant, or its failure, means."""
    if isinstance(answer, TransferSIPParticipantResponse) and answer.status == _TRANSFER_FAILED:
        return Rejected("transfer_failed", f"SIP {answer.sip_status.code} {answer.sip_status.status}".strip())
    return _outcome(answer, "LiveKit transferred the call")


def _outcome(answer: object, done: str) -> ActionOutcome:
    if isinstance(answer, Rejected) and answer.code == "not_found":
        return ParticipantGone(answer.text)
    return answer if isinstance(answer, Rejected | Unknown | Unreachable) else Done(done)
