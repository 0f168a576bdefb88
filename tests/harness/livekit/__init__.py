"""The real LiveKit: its server, its own answers, agents and callers that speak WebRTC."""
