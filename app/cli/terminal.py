"""What all commands print with."""

from __future__ import annotations

import sys


def complain(*lines: str) -> None:
    """Tell on standard error what is wrong."""
    sys.stderr.write("usher: " + "\n".join(lines) + "\n")
