"""A stored dispatch as a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple

from app.db.columns.action_types import OnNoShow
from app.db.types import LIVE, Cause, DispatchStatus, Recover, ReplacesKind, Scope

DISPATCH_ID_ATTRIBUTE = "usher.dispatch_id"
"""The dispatch attribute that carries our id to LiveKit and back in ListDispatch (servers from 1.13.2)."""

IS_RETURN = "is_return"
"""Set in an entry of `fallbacks` whose agent had the call before it was handed over."""

BESIDE: Final = "handover/"
"""Begin of the intent key of a hand-over while the first agent has the call: see `lifecycle/handover.py`."""

Session = tuple[str, str]
"""A room session: its project and its SID. SIDs alone identify nothing: a project can report those of another."""


class Dispatch(NamedTuple):
    """A row of `dispatches`. A tuple, because each webhook makes some: a frozen dataclass takes six times as long."""

    id: str
    event_id: str
    rule_id: int
    rule_name: str
    rules_version: int
    project: str
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str | None
    scope: Scope
    intent_key: str
    status: DispatchStatus
    cause: Cause
    reason: str
    answer_timeout_s: int
    max_attempts: int
    fallbacks: Sequence[Mapping[str, Any]] | None
    on_no_show: OnNoShow
    transfer_to: str | None
    min_stay_s: int
    recover: Recover
    withdraw: bool
    max_calls: int | None
    queue_timeout_s: int | None
    queue_priority: int
    announce: bool
    attempts: int
    counted_attempts: int
    rung: int
    asked_agent_name: str | None
    next_attempt_at: datetime | None
    queued_at: datetime | None
    placed_at: datetime | None
    must_look: bool
    deletion_announced_at: datetime | None
    is_sent_away: bool
    doubtful_until: datetime | None
    unlisted_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    answer_deadline: datetime | None
    livekit_dispatch_id: str | None
    job_id: str | None
    worker_id: str | None
    agent_identity: str | None
    agent_sid: str | None
    replaces: str | None
    replaces_kind: ReplacesKind | None
    handed_to: str | None
    request_key: str | None
    recoveries: int
    previous: Mapping[str, Any] | None
    created_at: datetime
    waiting_since: datetime | None
    dispatched_at: datetime | None
    joined_at: datetime | None
    ended_at: datetime | None

    @property
    def waits_since(self) -> datetime:
        """When its caller began to wait for it."""
        return self.waiting_since or self.created_at

    @property
    def session(self) -> Session:
        """The room session that it is for."""
        return self.project, self.room_sid

    @property
    def agent_to_ask(self) -> str:
        """The agent that the current attempt asks for: the rule's, or the fallback that is reached."""
        return asked_agent(self.agent_name, self.asked_agent_name)

    @property
    def holds_place(self) -> bool:
        """Whether it counts against the limits of the agent that it asks for: until it ends or asks another agent."""
        if self.status is DispatchStatus.PENDING:
            return self.placed_at is not None
        return self.status in LIVE

    @property
    def is_of_rule(self) -> bool:
        """Whether it counts against `max_calls` of its rule: no fallback is asked, and no call is handed over."""
        return self.rung == 0 and self.replaces_kind is not ReplacesKind.HANDOVER

    @property
    def is_fallback(self) -> bool:
        """Whether a fallback is being asked."""
        return self.rung > 0

    @property
    def is_return(self) -> bool:
        """Whether the agent that is being asked had the call before: the one that it was handed over to has failed."""
        return self.is_return_at(self.rung)

    def is_return_at(self, rung: int) -> bool:
        """Return whether the agent at this rung had the call before it was handed over."""
        return bool(self.fallbacks and rung and self.fallbacks[rung - 1].get(IS_RETURN))

    @property
    def wait_s(self) -> int:
        """Seconds that the agent which is being asked has to join."""
        return self._of_rung("answer_timeout_s")

    @property
    def attempts_allowed(self) -> int:
        """How often the agent which is being asked is asked."""
        return self._of_rung("max_attempts")

    @property
    def rule_rung(self) -> int:
        """Whose template of the rule makes the metadata: 0 is the rule's own, 1 that of its first fallback."""
        return self._of_rung("rule_rung") if self.fallbacks and self.rung else 0

    def _of_rung(self, name: str) -> int:
        if self.fallbacks and self.rung:
            return int(self.fallbacks[self.rung - 1][name])
        return int(getattr(self, name))

    @property
    def may_be_at_livekit(self) -> bool:
        """Whether LiveKit may have this dispatch or its agent: a call was made, or an access token carried it."""
        is_known = self.livekit_dispatch_id is not None or self.agent_identity is not None
        return self.attempts > 0 or self.must_look or is_known

    def new_row(self) -> dict[str, Any]:
        """Return the columns to insert of a dispatch before its first call: those that are not null by default."""
        return {name: self[place] for name, place in _SET_WHEN_NEW}

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Dispatch:
        """Return the dispatch in a row of the table."""
        return cls.from_values(_columns_of(row))

    @classmethod
    def from_values(cls, values: Iterable[Any]) -> Dispatch:
        """Return the dispatch with these values of the columns, in the table's order."""
        stored = cls._make(values)
        return stored._replace(
            status=DispatchStatus(stored.status),
            cause=Cause(stored.cause),
            scope=Scope(stored.scope),
            recover=Recover(stored.recover),
            on_no_show=OnNoShow(stored.on_no_show),
            replaces_kind=None if stored.replaces_kind is None else ReplacesKind(stored.replaces_kind),
        )


def asked_agent(agent_name: str, asked_agent_name: str | None) -> str:
    """Return the agent of the latest attempt: the rule's until a fallback is asked for."""
    return asked_agent_name or agent_name


_columns_of = itemgetter(*Dispatch._fields)
_UNSET_WHEN_NEW = frozenset(
    {
        "deletion_announced_at",
        "is_sent_away",
        "doubtful_until",
        "answer_deadline",
        "livekit_dispatch_id",
        "job_id",
        "worker_id",
        "agent_identity",
        "agent_sid",
        "dispatched_at",
        "joined_at",
    }
)
_SET_WHEN_NEW = tuple((name, place) for place, name in enumerate(Dispatch._fields) if name not in _UNSET_WHEN_NEW)
