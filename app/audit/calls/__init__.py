"""Calls: one participant in one room, from the webhook to the end, and why it got the agents it got."""
