"""How long what a webhook said about a room can be relied on, and how long an agent may take to come back."""

from __future__ import annotations

FRESH_S = 2.0
"""An older event does not prove that its caller is still there: LiveKit is asked before a call."""

RETURN_S = 6.0
"""How long a caller waits for an agent that may come back by itself (5 s seen) before another is asked for."""

RELOAD_S = 1.0
"""A caller who is back this soon has reloaded the page: the agent that serves it, or is on its way, stays.

A caller who comes back later meets an agent that has ended its session, as livekit-agents' sessions do by default.
"""
