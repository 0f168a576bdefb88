"""The addresses of peers, and which of them count as one peer."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

_MAX_LENGTH: Final = 45
"""Of an IPv6 address; a proxy may pass on whatever a client sent."""


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the address of the peer of a request, spelled in one way and without a port; empty if it is not known.

    What is no address, which only a proxy can pass on, is shortened to the length of one.
    """
    host = str(scope["client"][0]) if scope.get("client") else ""
    parsed = _parsed(host) or _parsed(_without_port(host))
    if parsed is not None:
        return str(parsed)
    return "".join(letter if letter.isprintable() else " " for letter in host[:_MAX_LENGTH])


def network_of(address: str) -> str:
    """Return the IPv4 address, or the /64 of an IPv6 address: one host may use all addresses in it."""
    parsed = _parsed(address)
    return str(IPv6Address(int(parsed) >> 64 << 64)) if isinstance(parsed, IPv6Address) else address


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address, IPv4 also where it is written as IPv6; None if it is none."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _without_port(host: str) -> str:
    """Return what some proxies write before a port: `192.0.2.7:51334`, `[2001:db8::1]:443`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
