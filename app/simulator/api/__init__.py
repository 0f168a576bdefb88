"""The simulator's server: the HTTP API of LiveKit, its faults, and the posting of webhooks."""
