"""The key by which two intents are the same: at most one dispatch of a key is live."""

from __future__ import annotations

import hashlib
import json

from app.db.types import Scope

_SEPARATOR = "\x1f"


def intent_key(project: str, room_sid: str, agent_name: str, scope: Scope, participant_identity: str) -> str:
    """Return the key that is unique among live dispatches: project, room session, agent, and with scope
    `participant` the participant's identity (not the SID: a caller that reconnects needs no second agent).
    """  # noqa: D205 - one sentence
    parts = [project, room_sid, agent_name, scope]
    if scope is Scope.PARTICIPANT:
        parts.append(participant_identity)
    text = _SEPARATOR.join(parts)
    if text.count(_SEPARATOR) >= len(parts):
        # A name holds the separator. No project name is empty, so that no other key begins with it.
        text = _SEPARATOR + json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
