"""What is left of texts and webhook bodies without the names of people. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from app.livekit.attributes import AGENT_NAME_ATTRIBUTES

_DISTINCT: Final = 8
"""Terms of this length are replaced anywhere; shorter ones only as whole words, since other words may hold them."""
_SHORTEST: Final = 3
"""A shorter term is replaced only where it is the whole text."""

_ROOM_KEPT: Final = frozenset({"sid", "name", "creationTime", "creationTimeMs", "numParticipants", "numPublishers"})
_PARTICIPANT_KEPT: Final = frozenset(
    {"sid", "identity", "kind", "kindDetails", "state", "joinedAt", "joinedAtMs", "permission", "disconnectReason"}
)
_JOB_KEPT: Final = frozenset({"id", "dispatchId", "type", "agentName", "state"})
_TOP_KEPT: Final = frozenset({"event", "id", "createdAt", "roomEndReason"})
_NOT_NAMES: Final = frozenset(
    {"event", "id", "sid", "kind", "state", "createdAt", "type", "entity", "entity_id", "from_state", "to_state"}
    | {"changed_by"}
)
"""Fields whose values are never names of people."""


class Scrubber:
    """Replaces terms in texts and JSON: `terms` are the replacements by term."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        self._terms = {term: to for term, to in terms.items() if term}
        long = sorted((term for term in self._terms if len(term) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_expression, long))) if long else None

    def text(self, text: str) -> str:
        """Return `text` with all terms replaced."""
        if text in self._terms:
            return self._terms[text]
        return text if self._pattern is None else self._pattern.sub(self._replacement, text)

    def json(self, value: Any) -> Any:
        """Return JSON with the terms replaced in all its texts but those that are never names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(entry) for entry in value]
        if isinstance(value, dict):
            return {
                self.text(name): entry if name in _NOT_NAMES and isinstance(entry, str) else self.json(entry)
                for name, entry in value.items()
            }
        return value

    def decision(self, decision: Any) -> Any:
        """Return the stored decision about an event with the terms replaced in its reason; rules keep their names."""
        if not isinstance(decision, dict) or not isinstance(decision.get("reason"), str):
            return decision
        return {**decision, "reason": self.text(decision["reason"])}

    def _replacement(self, match: re.Match[str]) -> str:
        return self._terms[match.group()]


def _expression(term: str) -> str:
    escaped = re.escape(term)
    return escaped if len(term) >= _DISTINCT else f"(?<![^\\W_]){escaped}(?![^\\W_])"


def skeleton(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a webhook says of times, ids, kinds and reasons, without what applications and callers wrote.

    Agents keep the attributes with their name.
    """
    left = {name: value for name, value in body.items() if name in _TOP_KEPT}
    for name, kept in (("room", _ROOM_KEPT), ("participant", _PARTICIPANT_KEPT), ("job", _JOB_KEPT)):
        message = body.get(name)
        if isinstance(message, dict):
            left[name] = {key: value for key, value in message.items() if key in kept}
    participant, job = body.get("participant"), body.get("job")
    if isinstance(participant, dict) and isinstance(participant.get("attributes"), dict):
        names = {key: value for key, value in participant["attributes"].items() if key in AGENT_NAME_ATTRIBUTES}
        if names:
            left["participant"]["attributes"] = names
    if isinstance(job, dict) and isinstance(job.get("room"), dict):
        left["job"]["room"] = {key: value for key, value in job["room"].items() if key in _ROOM_KEPT}
    return left
