"""Compares what two sets of rules do with recorded events."""
