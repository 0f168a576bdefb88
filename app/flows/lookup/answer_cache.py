"""Answers of lookups that are used again (`cache_s`), in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from app.livekit.attributes import SIP_RULE_ID
from app.rules.lookups.lookup_book import Lookup

MAX_BYTES: Final = 8 * 1024 * 1024
"""Answers kept at most, in bytes of their JSON."""
_PER_ENTRY: Final = 500  # bytes of the key and of Python's objects around an answer

_OF_EVENT: Final = frozenset({"id", "createdAt"})
_OF_ROOM_SESSION: Final = frozenset(
    {"sid", "creationTime", "creationTimeMs", "numParticipants", "numPublishers", "activeRecording", "version"}
    | {"turnPassword", "enabledCodecs"}
)
_OF_STAY: Final = frozenset(
    {"sid", "joinedAt", "joinedAtMs", "state", "version", "isPublisher", "tracks", "permission", "region"}
    | {"clientProtocol", "capabilities"}
)
_OF_CALL: Final = frozenset({"sip.callID", "sip.callIDFull", "sip.callTag", "sip.callStatus"})


def cache_key(lookup: Lookup, document: Mapping[str, Any]) -> bytes:
    """Return the key of the answer of `lookup` about `document`: the same for what differs from call to call only.

    Left out are ids, times, states and counters that LiveKit makes anew. The room's name counts, but for phone calls
    that a SIP dispatch rule let in: it makes that name of the rule and the numbers, which count, and of chance.
    """
    asked = {name: value for name, value in document.items() if name not in _OF_EVENT}
    participant = asked.get("participant")
    by_sip_rule = False
    if isinstance(participant, Mapping):
        participant = {name: value for name, value in participant.items() if name not in _OF_STAY}
        if isinstance(attributes := participant.get("attributes"), Mapping):
            by_sip_rule = participant.get("kind") == "SIP" and bool(attributes.get(SIP_RULE_ID))
            participant["attributes"] = {name: one for name, one in attributes.items() if name not in _OF_CALL}
        asked["participant"] = participant
    if isinstance(room := asked.get("room"), Mapping):
        left_out = _OF_ROOM_SESSION | {"name"} if by_sip_rule else _OF_ROOM_SESSION
        asked["room"] = {name: value for name, value in room.items() if name not in left_out}
    question = [lookup.id, lookup.url, dict(lookup.headers), asked]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).digest()


class _Entry(NamedTuple):
    answer: Any
    size: int
    until: float


class AnswerCache:
    """Answers by their key; the one unused for longest goes first. Times are of the monotonic clock."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self.size = 0
        """Bytes that the entries take."""

    def get(self, key: bytes, now: float) -> tuple[Any] | None:
        """Return the answer, in a tuple because it may be null; None if there is none of now."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry.until:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return (entry.answer,)

    def put(self, key: bytes, answer: Any, size: int, until: float) -> None:
        """Keep an answer whose JSON has `size` bytes, until then."""
        self._drop(key)
        size += _PER_ENTRY
        self._entries[key] = _Entry(answer, size, until)
        self.size += size
        while self.size > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.size
