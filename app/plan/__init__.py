"""From the rules that match to the dispatches that are wanted: pure functions."""
