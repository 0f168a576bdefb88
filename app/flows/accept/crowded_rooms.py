"""Remembers rooms with so many dispatches that one event of theirs must not read them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from app.outbox.dispatch import Dispatch, Session

CROWD = 100
"""Live dispatches in a session from which on an event reads only those of its participant.

Which agent belongs to which dispatch is found out by a check of the room then, all at once.
"""
_MAX_SESSIONS = 10_000


class CrowdedRooms:
    """Remembers the crowded sessions that this process met; used by the writer's thread alone."""

    def __init__(self) -> None:
        self._sessions: dict[Session, None] = {}

    def __contains__(self, session: object) -> bool:
        return session in self._sessions

    def note(self, sessions: Collection[Session], live: Iterable[Dispatch]) -> None:
        """Note which of `sessions`, whose live dispatches were all read, are crowded."""
        counts = Counter(one.session for one in live)
        for session in sessions:
            if counts[session] >= CROWD:
                self._sessions[session] = None
            elif session in self._sessions:
                del self._sessions[session]
        while len(self._sessions) > _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
