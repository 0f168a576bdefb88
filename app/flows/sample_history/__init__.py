"""Writes calls of the past into a new database, for the demo: as webhooks and LiveKit would have left them."""
