"""URLs of this process, from the address that it listens on, and those that people reach it by."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - wildcards, which are no addresses to call


def local_url(host: str, port: int) -> str:
    """Return the URL at which a service that listens on `host` is reached from its own machine."""
    host = _LOOPBACK.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def public_url_problem(url: str) -> str | None:
    """Return why `url` cannot be the public URL; None if it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        return "is not a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return "must be a URL such as https://usher.example.com"
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        return "must end after host and port: Usher is served at the root of its host"
    return None


def accepted_hosts(public_url: str, further: Sequence[str]) -> frozenset[str]:
    """Return the names that requests may have in their Host header; empty: any. Loopback names always may."""
    if not public_url and not further:
        return frozenset()
    names = [host_name(name) for name in further]
    return frozenset([*names, urlsplit(public_url).hostname or "localhost"])


def host_name(host: str) -> str:
    """Return the name in a Host header, lower case, without port and the dot of the root."""
    name = host.strip().casefold()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    if name.count(":") == 1:
        name = name.partition(":")[0]
    return name.rstrip(".")


def is_loopback(name: str) -> bool:
    """Return whether a host name means the machine itself; no foreign name can stand for it."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
