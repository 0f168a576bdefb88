"""Figures over time: what became of dispatches in each interval, and when rules changed."""
