"""Stored events and dispatches one by one: their shapes, how one is found, and how many are exported."""
