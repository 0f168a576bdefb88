"""Passwords: argon2 with pwdlib's recommended costs (about 50 ms a check, so never inside a transaction)."""

from __future__ import annotations

from functools import cache
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

from app.errors import Problem

SHORTEST: Final = 10
LONGEST: Final = 1000

NO_PASSWORD: Final = "!"  # noqa: S105 - says that there is none
"""Stands in `users.password_hash` of somebody who has not chosen a password yet; no password matches it."""

_hasher = PasswordHash.recommended()


@cache
def _decoy() -> str:
    return _hasher.hash("what is compared with when there is no such user")


def check_password(password: str, *, name: str = "") -> list[Problem]:
    """Return why this may not be the password of the user `name`; length is what counts."""
    if not SHORTEST <= len(password) <= LONGEST:
        return [Problem("password", f"must have {SHORTEST} to {LONGEST} characters; a few words are easy to remember")]
    if name and password.casefold() == name.casefold():
        return [Problem("password", "must not be the user's name")]
    if len(set(password)) < 4:  # "aaaaaaaaaa"
        return [Problem("password", "repeats the same few characters")]
    return []


def hash_password(password: str) -> str:
    """Return the text to store."""
    return _hasher.hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether it is the password; takes as long when there is no such user (`password_hash` None)."""
    try:
        right = _hasher.verify(password[:LONGEST], password_hash or _decoy())
    except UnknownHashError:  # NO_PASSWORD
        _hasher.verify(password[:LONGEST], _decoy())
        return False
    return right and password_hash is not None
