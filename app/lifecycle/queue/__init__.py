"""What becomes of callers for whom no agent has a free place."""
