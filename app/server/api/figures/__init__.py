"""Figures over the API: of time windows, over time, of rollouts."""
