"""What the flows share, handed in by `app.wiring`."""

from __future__ import annotations

import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from app.clock import Clock
from app.db.engine.reader import Reader
from app.db.types import format_instant
from app.db.writer import Writer
from app.errors import UsherError
from app.flows.listing.room_lists import RoomLists
from app.livekit.client import LiveKitClient
from app.logs import get_logger
from app.metrics import Metrics
from app.settings import Settings
from app.webhook.delivery_delay import DeliveryDelays

_log = get_logger(__name__)

T = TypeVar("T")

_MOST_TEXT = 300
_MOST_JOB_EVENTS = 1000  # of dispatches whose call is answered within seconds


@dataclass(frozen=True, slots=True)
class _Last:
    count: int
    at: datetime
    error: str


class Defects:
    """Counts caught errors by where they were caught: in a loop, by its name, or in one step, such as `decide`."""

    def __init__(self, metrics: Metrics, clock: Clock, *, hides_messages: bool = False) -> None:
        self._metrics = metrics
        self._hides_messages = hides_messages
        self._clock = clock
        self._last: dict[str, _Last] = {}

    def note(self, where: str, error: Exception, **subject: Any) -> None:
        """Log and count the error that is being handled; `subject` says what it was about."""
        if isinstance(error, UsherError):  # one that is expected: the message says enough
            _log.error("an error was caught", where=where, **subject, error=self.describe(error))
        elif self._hides_messages:
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a defect was caught", where=where, **subject, error=self.describe(error), traceback=frames)
        else:
            _log.error("a defect was caught", where=where, **subject, exc_info=error)
        self._metrics.defects.labels(where).inc()
        before = self._last.get(where)
        self._last[where] = _Last(before.count + 1 if before else 1, self._clock.now(), self.describe(error))

    def describe(self, error: Exception) -> str:
        """Return an error as text: its type, and its message where that may be shown.

        A message can quote what the error was about. With `USHER_REDACT` that may be what must not be stored or logged.
        """
        name = type(error).__name__
        return name if self._hides_messages else f"{name}: {error}"[:_MOST_TEXT]

    def to_json(self) -> dict[str, Any]:
        """Return, by where, how many there were since the start, and the latest with its time."""
        return {
            where: {"count": last.count, "last_at": format_instant(last.at), "error": last.error}
            for where, last in self._last.items()
        }


class EarlyJobEvents:
    """Ids of LiveKit's dispatches whose jobs are over, or wait for a worker, though their call is not answered yet.

    Of this process only. Where another replica gets the webhook, LiveKit is checked after `FIRST_CHECK_S` as ever.
    """

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def note(self, livekit_dispatch_id: str) -> None:
        """Remember that LiveKit reported a job of this dispatch."""
        self._ids[livekit_dispatch_id] = None
        if len(self._ids) > _MOST_JOB_EVENTS:
            self._ids.popitem(last=False)

    def include(self, livekit_dispatch_id: str | None) -> bool:
        """Return whether LiveKit reported a job of this dispatch."""
        return livekit_dispatch_id in self._ids


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, writer, LiveKit clients, metrics, clock and caught defects of one process."""

    settings: Settings
    writer: Writer
    clients: Mapping[str, LiveKitClient]
    metrics: Metrics
    clock: Clock
    owner: str
    """The name of this process in leases."""
    reader: Reader | None = None
    defects: Defects = field(init=False)
    early_job_events: EarlyJobEvents = field(init=False, default_factory=EarlyJobEvents)
    delivery_delays: DeliveryDelays = field(init=False, default_factory=DeliveryDelays)
    room_lists: RoomLists = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "room_lists", RoomLists(self.clock))
        object.__setattr__(
            self, "defects", Defects(self.metrics, self.clock, hides_messages=bool(self.settings.all_redacted))
        )

    async def read(self, load: Callable[[Connection], T]) -> T:
        """Return what `load` reads of the committed rows, without holding up the writer."""
        return await (self.writer if self.reader is None else self.reader).run(load)

    @property
    def lease(self) -> timedelta:
        """How long a dispatch is leased before another replica may claim it: time for three calls to LiveKit."""
        return timedelta(seconds=max(6.0, 3 * self.settings.request_timeout))
