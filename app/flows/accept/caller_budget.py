"""Accept: how many dispatches one caller may cause in a minute, so that no caller can take all agents.

A caller is an identity of a project, and a phone number. Most are known by this process alone: it remembers what it
granted in the last minute, and asks the database only about a caller with more than a fraction of the budget. So the
budget holds after a restart and over several replicas, each of which gives at most that fraction without asking.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select

from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, events
from app.db.types import Cause, EventSource
from app.livekit.vocabulary import ParticipantKind
from app.webhook.event import Event

WINDOW_S = 60.0
UNASKED_SHARE = 4
"""A process grants this part (one fourth) of a budget without asking the database."""
MAX_CALLERS = 10_000
"""Callers remembered, the latest: each costs about a kilobyte at most."""

_NUMBER = re.compile(r"\+?\d{5,15}")
"""Texts that name one caller; hidden numbers arrive as `anonymous` and the like."""
_WITHIN = (
    dispatches.c.project == bindparam("project"),
    dispatches.c.cause != Cause.OVER_BUDGET,
)
_BY_IDENTITY = (
    select(dispatches.c.id)
    .where(dispatches.c.participant_identity == bindparam("caller"), dispatches.c.id >= bindparam("least"), *_WITHIN)
    .limit(bindparam("most"))
)
_BY_NUMBER = (
    select(dispatches.c.id)
    .join(events, events.c.id == dispatches.c.event_id)
    .where(
        events.c.phone_number.is_not(None),
        events.c.phone_number == bindparam("caller"),
        events.c.id >= bindparam("least"),
        *_WITHIN,
    )
    .limit(bindparam("most"))
)
_COUNTS = {
    kind: select(func.count()).select_from(found.subquery())
    for kind, found in (("identity", _BY_IDENTITY), ("number", _BY_NUMBER))
}

Caller = tuple[str, str, str]
"""Kind (`identity` or `number`), project, and the identity or number."""


class CallerBudget:
    """Grants dispatches to callers; used by the writer's thread alone. A transaction that runs again asks again."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._granted: OrderedDict[Caller, deque[float]] = OrderedDict()

    def grant(self, connection: Connection, event: Event, now: datetime, tick: float) -> bool:
        """Return whether the caller of `event` may cause one more dispatch, and note it; `tick`: monotonic seconds."""
        if self.per_minute <= 0 or event.source is EventSource.REPLAY:
            return True
        callers = list(callers_of(event))
        recent = [self._recent(one, tick) for one in callers]
        for caller, ticks in zip(callers, recent, strict=True):
            if len(ticks) >= self.per_minute or (
                len(ticks) >= self.per_minute // UNASKED_SHARE and self._is_spent(connection, caller, now)
            ):
                return False
        for ticks in recent:
            ticks.append(tick)
        return True

    def _recent(self, caller: Caller, tick: float) -> deque[float]:
        ticks = self._granted.get(caller)
        if ticks is None:
            ticks = self._granted[caller] = deque()
            if len(self._granted) > MAX_CALLERS:
                self._granted.popitem(last=False)
        else:
            self._granted.move_to_end(caller)
            while ticks and ticks[0] <= tick - WINDOW_S:
                ticks.popleft()
        return ticks

    def _is_spent(self, connection: Connection, caller: Caller, now: datetime) -> bool:
        kind, project, name = caller
        least = lowest_id_at(now - timedelta(seconds=WINDOW_S))
        asked = {"project": project, "caller": name, "least": least, "most": self.per_minute}
        return bool(connection.execute(_COUNTS[kind], asked).scalar_one() >= self.per_minute)


def callers_of(event: Event) -> Iterator[Caller]:
    """Yield what tells the caller of `event` from others: its identity, and its phone number.

    An identity of a phone call without a digit (`sip_anonymous`) is that of every caller who hides the number.
    """
    identity = event.participant_identity
    if identity and (event.participant_kind != ParticipantKind.SIP or any(map(str.isdigit, identity))):
        yield "identity", event.project, identity
    if event.phone_number is not None and _NUMBER.fullmatch(event.phone_number):
        yield "number", event.project, event.phone_number
