"""The calls that ask LiveKit for agents: claimed, made, settled."""
