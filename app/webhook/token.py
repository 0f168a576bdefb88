"""The quick look at a token: sure of plain ones, silent about all others.

LiveKit's webhook tokens are always alike: HS256, and the claims iss, exp, nbf, iat and sha256 (seen on 1.13.5). PyJWT
takes 75 µs to consider every algorithm and claim that a token may have. What is just so is judged here in 10 µs;
everything else, and every refusal, is left to the SDK. What is accepted here it accepts too:
`tests/unit/webhook/test_token.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any


def encoded(content: bytes) -> bytes:
    """Return `content` as a part of a token: base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


_HEADERS = frozenset(encoded(header) for header in (b'{"alg":"HS256","typ":"JWT"}', b'{"typ":"JWT","alg":"HS256"}'))
_CLAIMS = frozenset({"iss", "exp", "nbf", "iat", "sha256"})


def is_plainly_right(token: str, claims: Mapping[str, Any], secret: bytes, body: bytes, now: float) -> bool:
    """Tell whether the token is just as LiveKit makes them, signed with `secret`, for this body and this moment.

    `claims` is what the token's second part says, `now` in seconds; False says nothing against the token.
    """
    try:
        content, _, signature = token.encode("ascii").rpartition(b".")
    except UnicodeEncodeError:
        return False
    if content.partition(b".")[0] not in _HEADERS or claims.keys() != _CLAIMS:
        return False
    if any(type(claims[name]) is not int for name in ("exp", "nbf", "iat")) or type(claims["sha256"]) is not str:
        return False
    if not max(claims["nbf"], claims["iat"]) <= now < claims["exp"]:
        return False
    if not hmac.compare_digest(encoded(hmac.digest(secret, content, "sha256")), signature):
        return False
    return hmac.compare_digest(base64.b64encode(hashlib.sha256(body).digest()), claims["sha256"].encode())
