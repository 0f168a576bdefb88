"""Webhooks as they arrive: parsed, reduced to what rules may read, stored once."""
