"""IP addresses as event-ruler reads them: a string that is an address is compared as an address."""

from __future__ import annotations

import re

from app.translation import translatable

_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_IPV6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_MASK = re.compile(r"[+-]?\d{1,40}")
_LONGEST_IPV4 = 15
_GROUPS = 8
_MAPPED = bytes(10) + b"\xff\xff"


def read_address(text: str) -> bytes | None:
    """Return the 4 or 16 bytes of an IP address literal; None when `text` is none.

    An IPv4 address mapped into IPv6 counts as IPv4; leading zeros are decimal (both as in Java's InetAddress).
    """
    if ":" not in text and "." not in text:
        return None
    if _IPV4.fullmatch(text):
        return _read_ipv4(text)
    if _IPV6.fullmatch(text):
        return _read_ipv6(text)
    return None


def read_network(text: str) -> tuple[bytes, bytes]:
    """Return the lowest and the highest address of a CIDR network; ValueError says what is wrong."""
    parts = text.split("/")
    while parts and not parts[-1]:
        parts.pop()
    if len(parts) != 2:
        raise ValueError(translatable("a network is an address, one '/' and the number of fixed bits"))
    address = read_address(parts[0])
    if address is None:
        raise ValueError(translatable("%(parts)s is not an IP address", parts=repr(parts[0])))
    bits = len(address) * 8
    if not _MASK.fullmatch(parts[1]):
        raise ValueError(translatable("after the '/' comes the number of fixed bits"))
    fixed = int(parts[1])
    if not 0 <= fixed <= bits:
        raise ValueError(translatable("the number of fixed bits is between 0 and %(bits)s", bits=bits))
    free = (1 << (bits - fixed)) - 1
    number = int.from_bytes(address, "big")
    return (number & ~free).to_bytes(len(address), "big"), (number | free).to_bytes(len(address), "big")


def _read_ipv4(text: str) -> bytes | None:
    if len(text) > _LONGEST_IPV4:
        return None
    numbers = [int(part) for part in text.split(".")]
    return bytes(numbers) if max(numbers) <= 0xFF else None


def _read_ipv6(text: str) -> bytes | None:
    head, gap, tail = text.partition("::")
    left = _read_groups(head)
    right = _read_groups(tail)
    if left is None or right is None:
        return None
    missing = _GROUPS - len(left) - len(right)
    if missing < 1 if gap else missing != 0:
        return None
    groups = [*left, *([0] * missing), *right]
    packed = b"".join(group.to_bytes(2, "big") for group in groups)
    return packed[12:] if packed.startswith(_MAPPED) else packed


def _read_groups(text: str) -> list[int] | None:
    if not text:
        return []
    parts = text.split(":")
    if not all(parts):
        return None
    groups = [int(part, 16) for part in parts]
    return groups if max(groups) <= 0xFFFF else None
