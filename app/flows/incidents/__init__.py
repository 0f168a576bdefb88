"""Evaluates what is wrong, and sends messages about it to people and programs."""
