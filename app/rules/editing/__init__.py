"""Reads and writes stored rules: one rule, a rules file, a revert; with history and differences."""
