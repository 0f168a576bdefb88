"""What becomes of callers while no agent has a free place for them."""
