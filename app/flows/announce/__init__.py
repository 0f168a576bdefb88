"""Tells callers how their wait stands, by participant attributes; off the path of delivery.

Trigger: each half second, what has changed of callers whose rule says `announce`. Writes nothing but its heartbeat.
"""
