"""The head of a request as it arrives: where it ends, and whether it is too large."""

from __future__ import annotations

from typing import Final

from app.connections.connection_limits import Limits

_END: Final = b"\r\n\r\n"


class RequestHead:
    """Request line and headers, in pieces of any size."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = self._lines = 0
        self._tail = b""
        """The last bytes of a head that goes on in the next piece."""

    def end(self, data: bytes, place: int) -> int:
        """Return where to stop feeding what begins at `place`: after the end of the head; -1 if it is too large."""
        size = len(data)
        overlap = (self._tail + data[place : place + 3]).find(_END) if self._tail else -1
        if overlap >= 0:
            end = place + overlap + 4 - len(self._tail)
        else:
            found = data.find(_END, place)
            end = size if found < 0 else found + 4
        self._bytes += end - place
        self._lines += data.count(b"\n", place, end)
        if self._bytes > self._limits.head_bytes or self._lines > self._limits.head_lines:
            return -1
        self._tail = (self._tail + data[max(place, end - 3) : end])[-3:]
        return end
