"""Accepts events: trigger, a webhook or the sweep; writes events, dispatches, callers, audit lines; then sends.

In one transaction for a batch: read the rules' version and which events are stored (`stored_state`), decide, choose
how each dispatch starts (`start`), insert (`enqueue`), store the events, and apply them to live dispatches
(`participants`).
"""
