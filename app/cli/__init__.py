"""The command line: one module for each command, and what commands share."""

from app.cli.main import main

__all__ = ["main"]
