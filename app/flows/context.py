"""What the flows share, handed in by `app.wiring`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from app.clock import Clock
from app.db.writer import Writer
from app.livekit.client import LiveKitClient
from app.metrics import Metrics
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, writer, LiveKit clients, metrics and clock of one process."""

    settings: Settings
    writer: Writer
    clients: Mapping[str, LiveKitClient]
    metrics: Metrics
    clock: Clock
    owner: str
    """The name of this process in leases."""

    @property
    def lease(self) -> timedelta:
        """How long a dispatch is leased before another replica may claim it: time for three calls to LiveKit."""
        return timedelta(seconds=max(6.0, 3 * self.settings.request_timeout))
