"""The version of this Usher."""

from __future__ import annotations

from importlib.metadata import version

DISTRIBUTION = "livekit-usher"


def usher_version() -> str:
    """Return the version of the installed distribution, such as `1.2.0`."""
    return version(DISTRIBUTION)
