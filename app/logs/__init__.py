"""Structured logs: one line per event, with the ids to search for, and never a secret."""

from app.logs.sampling import LineSampler
from app.logs.setup import configure_logs, get_logger

__all__ = ["LineSampler", "configure_logs", "get_logger"]
