"""Agents and queues over the API."""
