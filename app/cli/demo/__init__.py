"""`usher demo`: the service with a simulated LiveKit, rules and callers, on one machine."""
