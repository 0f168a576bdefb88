"""Tests: one folder for each tier, and what they share (README.md)."""
