"""Announces to callers their place in the queue, by participant attributes; no delivery waits for it.

Trigger: each half second, what has changed of callers whose rule says `announce`. Writes nothing but its heartbeat.
"""
