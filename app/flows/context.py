"""What the flows share: handed in by `wiring`, never looked up."""

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
    """The collaborators of every flow in one process."""

    settings: Settings
    writer: Writer
    clients: Mapping[str, LiveKitClient]
    metrics: Metrics
    clock: Clock
    owner: str
    """Who holds our leases."""

    @property
    def lease(self) -> timedelta:
        """How long a dispatch is ours before another replica may take it: time for three calls to LiveKit."""
        return timedelta(seconds=max(6.0, 3 * self.settings.request_timeout))
