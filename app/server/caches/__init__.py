"""Figures kept in memory for some seconds, because many readers ask for the same ones."""
