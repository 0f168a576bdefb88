"""Undoing what was changed together."""
