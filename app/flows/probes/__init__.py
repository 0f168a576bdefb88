"""Probes: rooms of our own in which an agent must appear."""
