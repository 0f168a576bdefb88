"""A project's API secret, made ready once for signing and verifying with HS256.

PyJWT looks at every use whether a secret is a PEM, an SSH, a DER or a JSON key given by mistake: a third of what a
verification takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jwt import InvalidKeyError, PyJWK, PyJWS
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_encode

_NAME = "HS256"


class _ReadyHmac(HMACAlgorithm):
    """HS256 for keys that PyJWT has looked at before."""

    def __init__(self) -> None:
        super().__init__(HMACAlgorithm.SHA256)

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, bytes) else super().prepare_key(key)


_READY = _ReadyHmac()
_SIGNING = PyJWS()
_SIGNING.unregister_algorithm(_NAME)
_SIGNING.register_algorithm(_NAME, _READY)


def is_secret(text: str) -> bool:
    """Return whether `text` may be an API secret: it is no PEM, SSH, DER or JSON key."""
    try:
        _READY.prepare_key(text)
    except InvalidKeyError:
        return False
    return True


class Secret(PyJWK):
    """An API secret as PyJWT's functions take it for a key; raises `jwt.InvalidKeyError` unless `is_secret`."""

    def __init__(self, text: str) -> None:
        ready = _READY.prepare_key(text)
        super().__init__({"kty": "oct", "k": base64url_encode(ready).decode(), "alg": _NAME})
        self.Algorithm = _READY

    def signature_of(self, content: str) -> str:
        """Return the signature of a token's header and claims as the token carries it."""
        return base64url_encode(_READY.sign(content.encode(), self.key)).decode()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token that carries `claims`."""
        return _SIGNING.encode(json.dumps(claims, separators=(",", ":")).encode(), self.key, algorithm=_NAME)
