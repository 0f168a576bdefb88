"""The command line: a module for each command, in packages by subject; `framework` is what commands share."""

from app.cli.main import main

__all__ = ["main"]
