"""Stored events and dispatches: their shapes, look-up by id, and export."""
