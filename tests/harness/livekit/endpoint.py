"""Where a LiveKit is and by which key it is called: one server, or several behind a balancer."""

from __future__ import annotations

from typing import Protocol


class Endpoint(Protocol):
    """What clients, workers and Usher need to know of a LiveKit."""

    api_key: str
    api_secret: str
    url: str
    """For participants and workers (ws://)."""
    http_url: str
    """For the server API (http://)."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."""
        ...
