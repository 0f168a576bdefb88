"""LiveKit's own terms as enums, and the sets that decisions are made by.

The members are strings, so that they compare with what LiveKit sends and with what the database holds. What LiveKit
sends may be newer than these lists: it stays a plain `str` and is never converted to an enum, which would raise.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EventType(StrEnum):
    """The `event` of a webhook. `participant_updated` is the sweep's: LiveKit sends nothing when metadata changes."""

    ROOM_STARTED = "room_started"
    ROOM_FINISHED = "room_finished"
    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_LEFT = "participant_left"
    PARTICIPANT_CONNECTION_ABORTED = "participant_connection_aborted"
    PARTICIPANT_UPDATED = "participant_updated"
    TRACK_PUBLISHED = "track_published"
    TRACK_UNPUBLISHED = "track_unpublished"
    EGRESS_STARTED = "egress_started"
    EGRESS_UPDATED = "egress_updated"
    EGRESS_ENDED = "egress_ended"
    INGRESS_STARTED = "ingress_started"
    INGRESS_ENDED = "ingress_ended"
    AGENT_JOB_STARTED = "agent_job_started"
    AGENT_JOB_ENDED = "agent_job_ended"
    AGENT_JOB_PENDING = "agent_job_pending"


JOINS: Final = frozenset({EventType.PARTICIPANT_JOINED, EventType.PARTICIPANT_UPDATED})
"""Events that show a participant in a room with all that is known of it."""

LEAVINGS: Final = frozenset({EventType.PARTICIPANT_LEFT, EventType.PARTICIPANT_CONNECTION_ABORTED})
"""Events after which a participant is not in its room any more."""


class ParticipantKind(StrEnum):
    """`ParticipantInfo.Kind`. Webhooks leave STANDARD out."""

    STANDARD = "STANDARD"
    INGRESS = "INGRESS"
    EGRESS = "EGRESS"
    SIP = "SIP"
    AGENT = "AGENT"
    CONNECTOR = "CONNECTOR"
    BRIDGE = "BRIDGE"


class DisconnectReason(StrEnum):
    """`DisconnectReason`, in `participant_left`."""

    UNKNOWN_REASON = "UNKNOWN_REASON"
    CLIENT_INITIATED = "CLIENT_INITIATED"
    DUPLICATE_IDENTITY = "DUPLICATE_IDENTITY"
    SERVER_SHUTDOWN = "SERVER_SHUTDOWN"
    PARTICIPANT_REMOVED = "PARTICIPANT_REMOVED"
    ROOM_DELETED = "ROOM_DELETED"
    STATE_MISMATCH = "STATE_MISMATCH"
    JOIN_FAILURE = "JOIN_FAILURE"
    MIGRATION = "MIGRATION"
    SIGNAL_CLOSE = "SIGNAL_CLOSE"
    ROOM_CLOSED = "ROOM_CLOSED"
    USER_UNAVAILABLE = "USER_UNAVAILABLE"
    USER_REJECTED = "USER_REJECTED"
    SIP_TRUNK_FAILURE = "SIP_TRUNK_FAILURE"
    CONNECTION_TIMEOUT = "CONNECTION_TIMEOUT"
    MEDIA_FAILURE = "MEDIA_FAILURE"
    AGENT_ERROR = "AGENT_ERROR"


ROOM_OVER: Final = frozenset({DisconnectReason.ROOM_DELETED, DisconnectReason.ROOM_CLOSED})
"""The participant left because its room ended."""

MOVED: Final = frozenset({DisconnectReason.DUPLICATE_IDENTITY, DisconnectReason.MIGRATION})
"""The participant goes on under another SID."""

CHOSEN: Final = ROOM_OVER | MOVED | {DisconnectReason.PARTICIPANT_REMOVED}
"""Reasons of a departure that was chosen, by the participant or for it: such an agent is not replaced."""

NOT_LOST: Final = CHOSEN | {DisconnectReason.CLIENT_INITIATED}
"""Leavings that do not prove a loss. An agent that shuts down, or whose entrypoint raised, left CLIENT_INITIATED."""


JOB_EVENTS: Final = frozenset({EventType.AGENT_JOB_STARTED, EventType.AGENT_JOB_ENDED, EventType.AGENT_JOB_PENDING})
"""Events about the job of a dispatch; LiveKit Cloud sends them."""


class JobStatus(StrEnum):
    """`JobStatus`, in ListDispatch. No proof of an agent's presence: see README.md."""

    PENDING = "JS_PENDING"
    RUNNING = "JS_RUNNING"
    SUCCESS = "JS_SUCCESS"
    FAILED = "JS_FAILED"
    CANCELLED = "JS_CANCELLED"


class RestartPolicy(StrEnum):
    """`JobRestartPolicy` of a dispatch: whether LiveKit Cloud starts another agent when one has failed."""

    ON_FAILURE = "JRP_ON_FAILURE"
    NEVER = "JRP_NEVER"

    @classmethod
    def of(cls, *, is_replaced_by_us: bool) -> RestartPolicy:
        """Return NEVER where Usher asks for another agent: if LiveKit Cloud did so too, there would be two."""
        return cls.NEVER if is_replaced_by_us else cls.ON_FAILURE


DEFAULT_IDENTITY: Final = "agent-AJ_"
"""How the identity of an agent begins that has not chosen one: `agent-` and the id of its job, which is unique."""
JOB_OVER: Final = frozenset({JobStatus.SUCCESS, JobStatus.FAILED, JobStatus.CANCELLED})
"""No agent comes by a job in one of these states."""

NO_CAPACITY: Final = "JSR_NO_CAPACITY"
"""`JobState.reason` of a job that no worker could take."""
