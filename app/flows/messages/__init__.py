"""Sends messages about incidents and calls to people and programs."""
