"""Keyed digests that stand in place of identities, room names and numbers of calls that are over.

With `USHER_HASH_NAMES_KEY` the same name always has the same digest, so that a name that is known finds its calls;
without the key a name can be neither read from a digest nor tried out.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from app.livekit.participant.phone import number_in

_PREFIX: Final = "hashed-"
_DIGITS: Final = 24
ERASED_PREFIX: Final = "erased-"
"""What the random names of people begin with who were erased."""


class _Key:
    """The key of this process; empty: names are stored as they are."""

    secret = b""


def use_name_key(key: str) -> None:
    """Set the key of this process (`USHER_HASH_NAMES_KEY`)."""
    _Key.secret = key.encode()


def has_name_key() -> bool:
    """Return whether names of calls that are over are replaced."""
    return bool(_Key.secret)


def is_digest(name: str) -> bool:
    """Return whether `name` was replaced already."""
    return name.startswith(_PREFIX) and len(name) == len(_PREFIX) + _DIGITS


def is_replaced(*names: str) -> bool:
    """Return whether one of these names is a digest or was erased, so that LiveKit does not know it."""
    return any(is_digest(name) or name.startswith(ERASED_PREFIX) for name in names)


def digest_of(name: str) -> str:
    """Return the digest of a name; itself without a key, and what is empty or a digest already."""
    if not name or not _Key.secret or is_digest(name):
        return name
    return _PREFIX + hmac.new(_Key.secret, name.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:_DIGITS]


def digest_of_number(number: str) -> str:
    """Return the digest of a phone number, the same for all its spellings."""
    return number if is_digest(number) else digest_of(number_in(number) or number)


def stored_forms(name: str) -> tuple[str, ...]:
    """Return what a name or number may be stored as: itself and, with a key, its digests."""
    if not _Key.secret:
        return (name,)
    return tuple(dict.fromkeys((name, digest_of(name), digest_of_number(name))))
