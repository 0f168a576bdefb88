"""What is asked of an ID token, and when its person logged in at the provider."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token must say."""

    issuer: str
    client_id: str
    nonce: str
    authenticated_since: datetime | None = None
    """The person must have logged in at the provider after this; None: whenever."""


class Redeemed(NamedTuple):
    """What a code was worth: the verified claims about a person, and the ID token that they are from."""

    claims: Mapping[str, Any]
    id_token: str


def authenticated_at(claims: Mapping[str, Any]) -> float | None:
    """Return when the person logged in at the provider, in seconds since 1970; None if it does not say."""
    value = claims.get("auth_time")
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)
