"""Removes and transfers callers: claim, ask LiveKit who is there, call, settle."""
