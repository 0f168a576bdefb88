"""Lookups: HTTP questions about a caller, whose answers rules match and templates read."""
