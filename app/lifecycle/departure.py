"""How an agent left, read from the webhook of its leaving and from what is stored of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.db.rule_columns import MAX_AGENT_NAME
from app.db.types import Recover
from app.livekit.vocabulary import LEAVINGS, MOVED, NOT_LOST, ROOM_OVER, DisconnectReason
from app.outbox.dispatch import Dispatch, Session
from app.translation import recorded
from app.webhook.event import Event

DONE: Final = "usher.done"
"""The participant attribute by which an agent says, with any value, that it has finished."""
CONTEXT: Final = "usher.context"
"""The participant attribute, JSON or text, that an agent leaves to the one after it."""
NEXT: Final = "usher.next"
"""The participant attribute in which an agent that leaves names the agent that is to go on with its callers."""
NOT_REPLACED: Final = recorded("not replaced")
"""Begin of what a reason says, after a colon, about an agent that left and is not replaced."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How an agent left. `disconnect_reason` is empty if it was only found missing from LiveKit's list."""

    disconnect_reason: str
    stayed_s: float
    is_done: bool = False
    """Whether its attributes said that it had finished."""
    next_agent: str = ""
    """The agent that it hands its callers over to; empty for none."""
    context: Any = None
    """What it left to the agent after it."""

    @property
    def is_lost(self) -> bool:
        """Whether the reason proves that the agent did not leave by itself and was not removed."""
        return self.disconnect_reason not in NOT_LOST

    def is_early(self, dispatch: Dispatch) -> bool:
        """Return whether the agent of `dispatch` left before `min_stay_s`."""
        return self.stayed_s < dispatch.min_stay_s


def departure_of(dispatch: Dispatch, event: Event) -> Departure:
    """Return how the agent of `dispatch` left, from the webhook of its leaving."""
    participant = _object(event.document, "participant")
    shareable = _object(_object(event.shareable, "participant"), "attributes")
    return Departure(
        disconnect_reason=reason_of(participant),
        stayed_s=max(_stay(dispatch, event.received_at), _stay_by_livekit(participant, event)),
        is_done=DONE in _object(participant, "attributes"),
        next_agent=_agent_name(_object(participant, "attributes").get(NEXT)),
        context=_parsed(shareable.get(CONTEXT)),
    )


def _agent_name(value: Any) -> str:
    """Return a usable name of an agent; empty for anything else."""
    name = value.strip() if isinstance(value, str) else ""
    return name if name.isprintable() and len(name) <= MAX_AGENT_NAME else ""


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def depends_on_people(dispatch: Dispatch, departure: Departure) -> bool:
    """Return whether it matters to `leaving.agent_gone` if people are there who have no dispatch.

    For most agents it does not, and to find these people all joins of the room are read.
    """
    if departure.disconnect_reason in ROOM_OVER | MOVED or departure.is_done:
        return False
    if dispatch.is_sent_away or departure.disconnect_reason == DisconnectReason.PARTICIPANT_REMOVED:
        return False
    return departure.is_lost or departure.is_early(dispatch) or dispatch.recover is Recover.ALWAYS


def losing_agents(
    live: Iterable[Dispatch], watched: Sequence[Event], left: Iterable[Event]
) -> tuple[list[Dispatch], set[Session]]:
    """Return the dispatches whose agent leaves, and the sessions in which it matters who else is there.

    `left`: leavings that were stored before the joins of their agents, which `watched` may have.
    """
    leavings = {(event.project, event.participant_sid): event for event in watched if event.type in LEAVINGS}
    left_by_joined = {(event.project, event.room_sid) for event in left}
    losing: list[Dispatch] = []
    with_others = set(left_by_joined)
    for dispatch in live:
        leaving = leavings.get((dispatch.project, dispatch.agent_sid or ""))
        if leaving is not None and depends_on_people(dispatch, departure_of(dispatch, leaving)):
            with_others.add(dispatch.session)
        if leaving is not None or dispatch.session in left_by_joined:
            losing.append(dispatch)
    return losing, with_others


def unseen_departure(dispatch: Dispatch, now: datetime, *, is_displaced: bool = False) -> Departure:
    """Return the departure of an agent that is not in LiveKit's list of `now`; it left at some time before.

    `is_displaced`: another agent is on the list under its identity.
    """
    reason = DisconnectReason.DUPLICATE_IDENTITY if is_displaced else ""
    return Departure(reason, _stay(dispatch, now))


def reason_of(participant: Mapping[str, Any]) -> str:
    """Return the reason of a leaving, known or not; empty when there is none."""
    reason = participant.get("disconnectReason")
    return reason if isinstance(reason, str) and reason != DisconnectReason.UNKNOWN_REASON else ""


def _stay(dispatch: Dispatch, until: datetime) -> float:
    return 0.0 if dispatch.joined_at is None else max(0.0, (until - dispatch.joined_at).total_seconds())


def _stay_by_livekit(participant: Mapping[str, Any], event: Event) -> float:
    """Return the stay by LiveKit's clock, up to a second too short: webhooks may be late, and our clock be set."""
    joined_ms = participant.get("joinedAtMs")
    if not isinstance(joined_ms, int | float) or joined_ms <= 0:
        return 0.0
    return max(0.0, event.occurred_at.timestamp() - joined_ms / 1000)


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
