"""How calls to LiveKit fail, in its own words."""
