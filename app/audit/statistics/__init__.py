"""Figures of agents, rules, objectives, probes and the queue, each read in bounded time."""
