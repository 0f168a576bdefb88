"""Addresses of peers: as a connection has them, and as proxies write them into X-Forwarded-For."""

from __future__ import annotations

from typing import Any

import pytest

from app.server.access.networks import address_of, network_of

WRITTEN = {
    "192.0.2.7": "192.0.2.7",
    "192.0.2.7:51334": "192.0.2.7",
    "2001:db8::1": "2001:db8::1",
    "2001:DB8:0::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:443": "2001:db8::1",
    "::ffff:192.0.2.7": "192.0.2.7",
    "": "",
    "unknown": "unknown",
    "_hidden\x1b[2J": "_hidden [2J",
    "300.1.1.1:80": "300.1.1.1:80",
    "x" * 60_000: "x" * 45,
    "fe80::1%" + "z" * 60_000: "fe80::1",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_an_address_is_one_however_it_is_written(written: str) -> None:
    scope: dict[str, Any] = {"client": (written, 0)}
    assert address_of(scope) == WRITTEN[written]


def test_a_peer_without_an_address_has_none() -> None:
    assert address_of({"client": None}) == address_of({}) == ""


def test_a_host_with_many_ipv6_addresses_is_one_peer() -> None:
    assert network_of("2001:db8:1:2::7") == network_of("2001:db8:1:2:ffff::") != network_of("2001:db8:1:3::7")
    assert network_of("192.0.2.7") != network_of("192.0.2.8")
