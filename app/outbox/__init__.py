"""Dispatches as rows: their states, their stores, the sessions of a room."""
