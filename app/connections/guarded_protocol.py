"""uvicorn's HTTP protocol on httptools, with limits on what a peer can make it hold.

httptools parses all that it is fed: a chunk of 256 KiB may hold 14,000 requests, and each becomes an object that waits
for its answer; a header may have any length, and is copied for each chunk of it. Here the parser is fed one request at
a time, and the next one when the peer has got its answer.
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.connections.answer_transport import AnswerTransport, refusal
from app.connections.connection_guard import ConnectionGuard
from app.connections.connection_limits import Limits
from app.connections.held_flow import HeldFlow
from app.connections.request_head import RequestHead

_PIECE_BYTES: Final = 4 * 1024
"""A body of unknown length is fed in pieces: what follows its end in a piece are further requests."""
_MAX_QUEUED: Final = 16
"""Requests in the piece that ends a body of unknown length."""
_FREE_CHUNKS: Final = 100
_MIN_CHUNK_BYTES: Final = 256
"""What chunks must have on average after that: each costs the same, be it a byte long."""
_BYTES_OF_A_TURN: Final = 64 * 1024
"""Of a body that is thrown away because it has been answered."""
_FREE_PIECES: Final = 8
_SMALL_PIECE_BYTES: Final = 1024
"""A request that comes in more than so many pieces of fewer bytes is read in turns: each piece costs the same, be it
a byte long. Packets of a long request have more."""
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_OVERDUE: Final = frozenset({"slow_headers", "slow_body"})


class _Phase(Enum):
    """What the peer is to send next."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()


class GuardedProtocol(HttpToolsProtocol):
    """One connection; `since` and `unfinished_bytes` are what the guard reads."""

    def __init__(self, guard: ConnectionGuard, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard
        self._limits = guard.limits
        self._now = guard.clock.monotonic
        self._phase = _Phase.REQUEST
        self._head = RequestHead(self._limits)
        self._body_left = 0
        """Bytes of the body to come; less than 0 if its length is not known."""
        self._bytes_without_body = 0
        """Fed since the latest byte of such a body: sizes of chunks, their extensions, headers behind the body."""
        self._chunks = 0
        self._chunked_bytes = 0
        self._small_pieces = 0
        self._is_repeating = False
        """Whether a new parser gets the framing headers that the former one has read."""
        self._held: list[bytes] = []
        """Received, and fed to the parser once the present request has been answered."""
        self._held_from = 0
        """Where in the first of them the next request begins: cut off each time, all the rest would be copied."""
        self._closes_after_body = self._is_refused = False
        self._unsent, self._unsent_since = 0, 0.0
        self.flow: HeldFlow
        self.unfinished_bytes = 0
        self.since = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = HeldFlow(transport)
        self.since = self._now()
        self._guard.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.closed(self)
        self._held.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._throw_away(data)
        elif self.flow.is_held:  # it was on its way when reading was paused
            self._hold(data)
        else:
            self._read(data)

    def on_headers_complete(self) -> None:
        if self._is_repeating:
            return
        if len(self.pipeline) >= _MAX_QUEUED:
            raise ValueError("too many requests behind a body")  # answered 400
        self._phase = _Phase.BODY
        self._body_left = self._chunks = self._chunked_bytes = 0
        self.since = self._now()
        super().on_headers_complete()
        self.cycle.transport = AnswerTransport(self.transport, self._end_answer)

    def on_chunk_header(self) -> None:
        """Count a chunk; called by the parser."""
        self._chunks += 1
        if self._chunks > _FREE_CHUNKS and self._chunks * _MIN_CHUNK_BYTES > self._chunked_bytes:
            raise ValueError("too many chunks")  # answered 400

    def on_body(self, body: bytes) -> None:
        self._bytes_without_body = 0
        self._chunked_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():  # else it skips the body, which goes to a new parser
            self._phase = _Phase.REQUEST
            super().on_message_complete()
            if self._closes_after_body:
                self.transport.close()
            elif self.cycle.response_complete:  # before the body was whole, which has ended uvicorn's timer since
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )

    def on_response_complete(self) -> None:
        if self.cycle.response_complete:  # else it is of a later request, which waits behind this one
            self.cycle.body = bytearray()  # what the handler did not read: kept, it would be 256 KiB a connection
        super().on_response_complete()
        if self._held and not self.flow.write_paused:
            self._guard.wait_turn(self, 1)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._held and self.cycle.response_complete:  # the peer has begun to read
            self._guard.wait_turn(self, 1)

    def overdue(self, now: float, limits: Limits, *, is_stopping: bool) -> str:
        """Return which limit of time the peer has passed; empty if none."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        if unsent:
            allowed = limits.stopping_s if is_stopping else limits.stalled_s
            return "stalled" if now - self._unsent_since > allowed else ""
        if self._is_over:
            return ""
        if self._phase is _Phase.BODY:
            if self.flow.read_paused and not self.flow.is_held:  # the handler is slow, not the peer
                self.since = now
            allowed, reason = limits.body_s, "slow_body"
        elif self._phase is _Phase.HEAD or self.cycle is None:
            allowed, reason = limits.head_s, "slow_headers"
        else:
            return ""  # being answered, or kept alive by uvicorn's own timer
        return reason if now - self.since > (limits.stopping_s if is_stopping else allowed) else ""

    def rank(self) -> int | None:
        """Return how early to close this connection for another's sake: before what works, what only waits."""
        if self.transport.is_closing():
            return None
        if self.transport.get_write_buffer_size():
            return 2
        if self._phase is not _Phase.REQUEST or self.cycle is None:
            return 0
        return 1 if self.cycle.response_complete else None

    def end(self, reason: str) -> None:
        """Close the connection: with an answer if a request is overdue, or else at once."""
        is_answered = self._phase is _Phase.BODY and self.cycle.response_started
        if reason not in _OVERDUE or self._phase is _Phase.REQUEST or is_answered:
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")

    def go_on(self) -> None:
        """Feed what was held back, and read on; the present request has been answered."""
        if self.transport.is_closing():
            return
        data, place = b"".join(self._held), self._held_from
        self._held.clear()
        self._held_from = 0
        self._guard.hold(self, 0)
        self.flow.is_held = False
        self.flow.resume_reading()
        if data:
            self._read(data, place)

    def _read(self, data: bytes, place: int = 0) -> None:
        """Feed the parser with one request at most, and hold back what follows it."""
        begin, size = place, len(data)
        while place < size:
            if self._phase is _Phase.REQUEST:
                if self.cycle is not None and not self.cycle.response_complete:
                    self._hold(data[place:] if place > size // 2 else data)
                    self._held_from = 0 if place > size // 2 else place
                    return
                self._begin_request()
            end = self._end_of_body(place, size) if self._phase is _Phase.BODY else self._head.end(data, place)
            if end < 0:
                self._guard.note("large_headers")
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"the headers have more than {self._limits.head_bytes} bytes or {self._limits.head_lines} lines",
                )
                return
            self._feed(data if end - place == size else data[place:end])
            place = end
            if self._is_over:
                return
        if self._phase is not _Phase.REQUEST:
            if self._phase is _Phase.BODY and self.cycle.response_complete:
                self._guard.hold(self, 0)
                self._throw_away(data)
            else:
                self._guard.hold(self, self.unfinished_bytes + size - begin)
                self._small_pieces += size - begin < _SMALL_PIECE_BYTES
                if self._small_pieces > _FREE_PIECES and not self.flow.read_paused:
                    self._stop_reading()
                    self._guard.wait_turn(self, 1)
        elif self.unfinished_bytes:
            self._guard.hold(self, 0)

    def _begin_request(self) -> None:
        self._phase = _Phase.HEAD
        self._head = RequestHead(self._limits)
        self._bytes_without_body = self._small_pieces = 0
        self.since = self._now()

    def _end_of_body(self, place: int, size: int) -> int:
        if self._body_left == 0:
            lengths = [value for name, value in self.headers if name == b"content-length"]
            self._body_left = int(lengths[0]) if lengths else -1
        if self._body_left < 0:
            end = min(size, place + _PIECE_BYTES)
            self._bytes_without_body += end - place
            return end if self._bytes_without_body <= self._limits.head_bytes else -1
        end = min(size, place + self._body_left)
        self._body_left -= end - place
        return end

    def _feed(self, data: bytes) -> None:
        """As uvicorn's `data_received`, but a request that offers another protocol is one as any other.

        The parser takes what follows such a head for the next request, also if it is a body: of a stranger's choice,
        where a proxy counts one request. So a new parser, which gets the framing headers but not the offer, reads on.
        """
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            framing = [name + b": " + value for name, value in self.headers if name in _FRAMING]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self._is_repeating = True
            self._feed(b"\r\n".join([b"POST / HTTP/1.1", *framing, b"", b""]))
            self._is_repeating = False
            if (rest := data[offer.args[0] :]) and not self._is_over:
                self._feed(rest)
        except httptools.HttpParserError:
            self._guard.note("invalid")
            self._refuse(HTTPStatus.BAD_REQUEST, "the request is not valid HTTP")

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._stop_reading()
        self._guard.hold(self, self.unfinished_bytes + len(data))

    def _stop_reading(self) -> None:
        self.flow.pause_reading()
        self.flow.is_held = True

    def _end_answer(self) -> None:
        """Close after an answer, once the rest of the body is read: else the peer loses it with a reset connection."""
        self._closes_after_body = self._phase is _Phase.BODY and self.cycle.response_complete
        if not self._closes_after_body:
            self.transport.close()

    @property
    def _is_over(self) -> bool:
        """Whether nothing that arrives is read any more."""
        return self._is_refused or self.transport.is_closing()

    def _throw_away(self, data: bytes) -> None:
        self._stop_reading()
        self._guard.wait_turn(self, 1 + len(data) // _BYTES_OF_A_TURN)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem document, and close once the peer has had time to read it, as `_end_answer` does."""
        self._is_refused = True
        self._guard.hold(self, 0)
        self._held.clear()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(refusal(status, detail))
        self.loop.call_later(self._limits.stopping_s, self.transport.close)
