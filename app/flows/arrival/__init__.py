"""Sees whether agents are there: trigger, an answer deadline, an unclear webhook, or the sweep.

Writes arrivals, no-shows, replacements and ends; then dead dispatches and surplus agents are taken back from LiveKit.
"""
