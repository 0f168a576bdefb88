"""Renders a rule's JSON-e templates: job metadata and dispatch attributes."""
