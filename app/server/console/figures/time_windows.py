"""The time windows that pages offer."""

from __future__ import annotations

from typing import Final

from app.server.console.framework import PageRequest

WINDOWS: Final = {"1": "last hour", "24": "last 24 hours", "168": "last 7 days", "720": "last 30 days"}


def hours_of(request: PageRequest) -> str:
    """Return the window that the request asks for, in hours; a day if it asks for none that is offered."""
    hours = request.field("hours", "24")
    return hours if hours in WINDOWS else "24"
