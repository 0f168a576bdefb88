"""Limits how many dispatches one caller may cause in a minute, so that no caller can take all agents.

A caller is an identity of a project, and a phone number in any spelling. A dispatch whose caller has left counts as
one; one whose caller is still there as a fourth, since apps that give all their callers one identity have many at a
time. Most callers are known by this process alone: it asks the database only about one with more than a fraction of the
budget, and once a second. So the budget holds after a restart and over several replicas, each of which gives that
fraction unasked.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, union

from app.db.record_ids import lowest_id_at
from app.db.tables import dispatch_callers, dispatches, events
from app.db.tables.search import HAS_NUMBER, MAX_DIGITS, reversed_digits
from app.db.types import Cause, EventSource
from app.livekit.participant.phone import national_digits, number_in, written_forms
from app.livekit.vocabulary import ParticipantKind
from app.webhook.event import Event

WINDOW_S = 60.0
WEIGHT_OF_PRESENT = 0.25
"""What a dispatch counts whose caller is still there."""
UNASKED_SHARE = 4
"""A process grants this part (one fourth) of a budget without asking the database."""
ASKED_EVERY_S = 1.0
"""How often the database is asked about one caller."""
MAX_CALLERS = 10_000
"""Callers remembered, the latest of the last `WINDOW_S`: each costs about half a kilobyte."""

_NUMBER = re.compile(r"\+?\d{5,15}")
"""Texts that name one caller; hidden numbers arrive as `anonymous` and the like."""
_PREFIXES = ("", "00", "011", "tel:", "sip:", "sips:")
"""What stands before the digits of an international number; SQLite's index keeps the letters."""
_OWN_CALLER = (dispatch_callers.c.dispatch_id == dispatches.c.id) & (
    dispatch_callers.c.event_id == dispatches.c.event_id
)
# Replacements are limited by budgets of their own, and are not of the caller's making.
_WITHIN = (
    dispatches.c.project == bindparam("project"),
    dispatches.c.cause != Cause.OVER_BUDGET,
    dispatches.c.replaces.is_(None),
)
_BY_IDENTITY = (
    select(dispatch_callers.c.left_at)
    .select_from(dispatches.outerjoin(dispatch_callers, _OWN_CALLER))
    .where(dispatches.c.participant_identity == bindparam("caller"), dispatches.c.id >= bindparam("least"), *_WITHIN)
    .limit(bindparam("most"))
)
_OF_EVENT = (
    select(dispatches.c.id, events.c.phone_number, dispatch_callers.c.left_at)
    .select_from(events.join(dispatches, events.c.id == dispatches.c.event_id).outerjoin(dispatch_callers, _OWN_CALLER))
    .where(events.c.id >= bindparam("least"), *_WITHIN)
)
# Trunks spell one number in many ways. The second finds joins by their digits, with whatever between them; other
# numbers may have the same. The first also finds events that are no joins.
_BY_NUMBER = union(
    _OF_EVENT.where(events.c.phone_number.is_not(None), events.c.phone_number.in_(bindparam("forms", expanding=True))),
    _OF_EVENT.where(text(HAS_NUMBER), reversed_digits().in_(bindparam("digits", expanding=True))),
).limit(bindparam("most"))
_FOUND = _BY_IDENTITY.subquery()
_COUNT_BY_IDENTITY = select(func.count(), func.count(_FOUND.c.left_at)).select_from(_FOUND)

Caller = tuple[str, str, str]
"""Kind (`identity` or `number`), project, and the identity or number, in E.164 if it can be."""


@dataclass(slots=True)
class _Account:
    """What was granted to one caller: `granted` by this process, `spent` as the database said at `asked_at`."""

    used_at: float
    granted: list[float] = field(default_factory=list)
    """The ticks of the latest, not more than are granted unasked."""
    asked_at: float = float("-inf")
    spent: float = 0.0


class CallerBudget:
    """Grants dispatches to callers; used by the writer's thread alone. A transaction that runs again asks again."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._unasked = per_minute // UNASKED_SHARE
        self._accounts: dict[Caller, _Account] = {}
        """In the order of their last use."""

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        return len(self._accounts)

    def grant(self, connection: Connection, event: Event, now: datetime, tick: float) -> bool:
        """Return whether the caller of `event` may cause one more dispatch, and note it; `tick`: monotonic seconds."""
        if self.per_minute <= 0 or event.source is EventSource.REPLAY:
            return True
        callers = list(callers_of(event))
        accounts = [self._account(one, tick) for one in callers]
        for caller, account in zip(callers, accounts, strict=True):
            if len(account.granted) < self._unasked:
                continue
            if tick - account.asked_at >= ASKED_EVERY_S:
                account.spent, account.asked_at = self._spent(connection, caller, now), tick
            if account.spent >= self.per_minute:
                return False
        for account in accounts:
            account.granted = [*account.granted, tick][-self._unasked - 1 :]
            account.spent += WEIGHT_OF_PRESENT
        return True

    def _account(self, caller: Caller, tick: float) -> _Account:
        account = self._accounts.pop(caller, None) or _Account(tick)
        self._accounts[caller] = account  # the latest is the last one
        account.used_at = tick
        del account.granted[: bisect_right(account.granted, tick - WINDOW_S)]
        self._drop_unused(tick)
        return account

    def _drop_unused(self, tick: float) -> None:
        """Drop at most two, which is more than each call adds: no call costs more than another."""
        for _ in range(2):
            caller, oldest = next(iter(self._accounts.items()))
            if len(self._accounts) <= MAX_CALLERS and oldest.used_at > tick - WINDOW_S:
                return
            del self._accounts[caller]

    def _spent(self, connection: Connection, caller: Caller, now: datetime) -> float:
        kind, project, name = caller
        most = int(self.per_minute / WEIGHT_OF_PRESENT)
        least = lowest_id_at(now - timedelta(seconds=WINDOW_S))
        asked = {"project": project, "least": least, "most": most}
        if kind == "number":
            rows = connection.execute(_BY_NUMBER, {**asked, **_spellings(name)}).all()
            gone = [row.left_at is not None for row in rows if _number(row.phone_number) == name]
            total, left = len(gone), sum(gone)
        else:
            total, left = connection.execute(_COUNT_BY_IDENTITY, {**asked, "caller": name}).one()
        return float(left + (total - left) * WEIGHT_OF_PRESENT)


def callers_of(event: Event) -> Iterator[Caller]:
    """Yield what tells the caller of `event` from others: its identity, and its phone number.

    An identity of a phone call without a digit (`sip_anonymous`) is that of every caller who hides the number.
    """
    identity = event.participant_identity
    if identity and (event.participant_kind != ParticipantKind.SIP or any(map(str.isdigit, identity))):
        yield "identity", event.project, identity
    if event.phone_number is not None and (number := _number(event.phone_number)):
        yield "number", event.project, number


def _number(spelled: str) -> str:
    """Return a number of `events.phone_number` in E.164, an extension as it is, and "" for a hidden number."""
    return number_in(spelled) or (spelled if _NUMBER.fullmatch(spelled) else "")


def _spellings(number: str) -> dict[str, Any]:
    """Return the parameters of `_BY_NUMBER` that find the spellings of a number."""
    digits, national = number.removeprefix("+"), national_digits(number)
    dialled = [f"{prefix}{digits}" for prefix in _PREFIXES] + [f"{trunk}{national}" for trunk in ("", "0", "1")]
    return {
        "forms": sorted(written_forms(number)),
        "digits": sorted({one[-MAX_DIGITS:][::-1] for one in dialled}),
    }
