"""Whether the database refuses events: the trouble may be with one caller's data, or with whatever is written."""

from __future__ import annotations

from typing import Final

ONE_ROOM_S: Final = 10.0
"""For so long after a refusal the process is not ready: LiveKit's retries are up to 8 s apart. Not longer, because a
load balancer keeps other callers away meanwhile, whose events may well be stored."""
SEVERAL_ROOMS_S: Final = 60.0
"""The same once events of several rooms were refused and none was stored between them."""


class RefusedEvents:
    """Remembers the latest refusal until an event is stored."""

    def __init__(self) -> None:
        self._room: tuple[str, str] | None = None
        self._are_several = False
        self._text = ""
        self._at = 0.0

    def note(self, project: str, room_name: str, text: str, now: float) -> None:
        """Remember that an event of this room was refused, and why; `now` is in monotonic seconds."""
        room = (project, room_name)
        self._are_several |= self._room not in {None, room}
        self._room, self._text, self._at = room, text, now

    def clear(self) -> None:
        """Forget the refusals: an event was stored."""
        self._room, self._are_several = None, False

    def trouble(self, now: float) -> str:
        """Return why events are refused, "" if none was lately; `now` is in monotonic seconds."""
        lasts_s = SEVERAL_ROOMS_S if self._are_several else ONE_ROOM_S
        return self._text if self._room is not None and now - self._at < lasts_s else ""
