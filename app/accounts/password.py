"""Passwords, hashed by argon2 at pwdlib's recommended cost: about 50 ms a check, so never inside a transaction."""

from __future__ import annotations

from functools import cache
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

from app.accounts.common_passwords import is_common
from app.errors import Problem
from app.translation import translatable

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 1000  # bounds the work of hashing

NO_PASSWORD: Final = "!"  # noqa: S105 - stands for no password
"""The `users.password_hash` of a user who has not chosen a password yet; no password matches it."""

_hasher = PasswordHash.recommended()


@cache
def _decoy() -> str:
    return _hasher.hash("compared with when there is no such user")


def check_password(password: str, *, name: str = "") -> list[Problem]:
    """Return why a password is not allowed for the user `name`: its length counts, and that it is not guessed.

    There are no rules about kinds of characters (NIST SP 800-63B, 3.1.1.2).
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return [
            Problem(
                "password",
                translatable(
                    "must have %(least)s to %(most)s characters; a few words are easy to remember",
                    least=MIN_LENGTH,
                    most=MAX_LENGTH,
                ),
            )
        ]
    if name and password.casefold() == name.casefold():
        return [Problem("password", translatable("must not be the user's name"))]
    if len(set(password)) < 4:  # "aaaaaaaaaaaa"
        return [Problem("password", translatable("repeats the same few characters"))]
    if is_common(password, name):
        return [
            Problem(
                "password", translatable("is one of those that are tried first, or nearly so; a few words are better")
            )
        ]
    return []


def hash_password(password: str) -> str:
    """Return the hash to store."""
    return _hasher.hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether the password matches; takes as long if there is no such user (`password_hash` is None)."""
    try:
        matches = _hasher.verify(password[:MAX_LENGTH], password_hash or _decoy())
    except UnknownHashError:  # NO_PASSWORD
        _hasher.verify(password[:MAX_LENGTH], _decoy())
        return False
    return matches and password_hash is not None
