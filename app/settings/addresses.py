"""URLs of this process, from the address that it listens on."""

from __future__ import annotations

from typing import Final

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - wildcards, which are no addresses to call


def local_url(host: str, port: int) -> str:
    """Return the URL at which a service that listens on `host` is reached from its own machine."""
    host = _LOOPBACK.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
