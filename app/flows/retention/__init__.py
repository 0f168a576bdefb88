"""Retention: deletes what is old, bodies of webhooks earlier than facts, and nothing that a live call needs."""
