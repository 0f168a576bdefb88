"""Decides which callers belong to a rule's `rollout_percent`: sticky, uniform, and independent for each rule.

Every value of the rollout key has a fixed place in [0, 100) for each rule: the first 8 bytes of
SHA-256("<rule id>:<value>"), scaled. It belongs while its place is below the percentage, so raising the percentage only
adds values and lowering it only removes some. The formula is part of the contract: changing it would move callers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from app.errors import Problem
from app.translation import translatable

_LONGEST_PATH = 256
_PLACES = 1 << 64


def in_rollout(rule_id: int, percent: int, key_path: str, document: Mapping[str, Any]) -> bool:
    """Return whether `document` belongs to the share of rule `rule_id`.

    With 100 every document does, with 0 none. In between, a document whose key is missing, null, empty, an object or
    an array does not: it has no value that would give it the same place every time.
    """
    if percent >= 100:
        return True
    if percent <= 0:
        return False
    value = rollout_value(key_path, document)
    if value is None:
        return False
    digest = hashlib.sha256(f"{rule_id}:{value}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") * 100 < percent * _PLACES


def rollout_value(key_path: str, document: Mapping[str, Any]) -> str | None:
    """Return the text that places `document`, or None if there is none.

    `key_path` is dotted. A key may itself contain dots (`participant.attributes.sip.phoneNumber`): at each object the
    shortest key that leads to a value wins. Numbers and booleans count by their JSON text, and 3.0 as 3.
    """
    return _text_of(_find(key_path.split("."), document))


def check_rollout_key(key_path: str) -> list[Problem]:
    """Return what is wrong with `key_path`; empty when it can be used."""
    if len(key_path) > _LONGEST_PATH:
        message = translatable(
            "must have at most %(most)s characters, found %(count)s", most=_LONGEST_PATH, count=len(key_path)
        )
        return [Problem("rollout_key", message, found=key_path[:40] + "…")]
    if not key_path or any(part != part.strip() or not part for part in key_path.split(".")):
        message = translatable("must be a dotted path into the event, such as participant.identity or room.name")
        return [Problem("rollout_key", message, found=key_path)]
    return []


def _find(parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    if not isinstance(value, Mapping):
        return None
    key = ""
    for length, part in enumerate(parts, start=1):
        key = f"{key}.{part}" if length > 1 else part
        if key in value:
            found = _find(parts[length:], value[key])
            if found is not None:
                return found
    return None


def _text_of(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return None
