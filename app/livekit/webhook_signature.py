"""Verifies webhook signatures with the SDK's own `WebhookReceiver`, which judges times by the system's clock."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jwt
from livekit.api import TokenVerifier, WebhookReceiver

from app.clock import SystemClock
from app.errors import SignatureRefusedError
from app.livekit.webhook_delivery import Signature
from app.settings import Project

_LATEST_TIME = 1e12  # seconds since the epoch: later than any webhook, and well within a float

TOKEN_MAX_BYTES = 8 * 1024
"""Longer tokens are refused undecoded: anybody can send one, and LiveKit's have about 300 bytes."""


class _SignedBody(str):
    """An argument for `WebhookReceiver.receive` with which it verifies the bytes but does not parse them.

    The receiver checks the token and the SHA-256 of `body.encode()`, which returns the signed bytes, then parses the
    text, which is "{}", into a protobuf. Parsing the real body so takes four fifths of its time (455 of 558 µs
    measured), and drops the fields that the protobuf does not know; rules match the JSON itself.
    """

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - str's signature
        return self.raw


class _Key(NamedTuple):
    """What an API key belongs to, and what judges its tokens."""

    project: str
    tokens: TokenVerifier
    receiver: WebhookReceiver


class Verifier:
    """Verifies webhooks of all projects; the token's issuer says with which key."""

    def __init__(self, projects: Iterable[Project]) -> None:
        self._keys: dict[str, _Key] = {}
        for project in projects:
            for key, secret in project.keys.items():
                tokens = TokenVerifier(key, secret.get_secret_value())
                self._keys[key] = _Key(project.name, tokens, WebhookReceiver(tokens))

    def verify(self, body: bytes, authorization: str | None) -> Signature:
        """Return the project whose key signed `body`, and when.

        Raises `SignatureRefusedError` with one of the reasons missing, malformed, unknown_key, bad_signature, stale,
        tampered. The SDK allows clocks to differ by one minute.
        """
        token = _token(authorization)
        claims = _unverified_claims(token)
        key = self._key(claims["iss"])
        signed = _SignedBody("{}")
        signed.raw = body
        try:
            key.receiver.receive(signed, token)
        except jwt.PyJWTError as error:
            raise _refusal(error, claims) from error
        except Exception as error:  # the SDK raises bare Exception for a missing or different hash
            raise SignatureRefusedError("tampered", "the body is not the one that was signed") from error
        signed_at = claims.get("nbf") or claims.get("iat")
        if isinstance(signed_at, int | float) and 0 < signed_at < _LATEST_TIME:
            return Signature(key.project, float(signed_at))
        return Signature(key.project, 0.0)

    def require_signed(self, authorization: str | None) -> None:
        """Raise `SignatureRefusedError` unless one of our keys signed the token; it says nothing about a body."""
        token = _token(authorization)
        claims = _unverified_claims(token)
        key = self._key(claims["iss"])
        try:
            key.tokens.verify(token)
        except jwt.PyJWTError as error:
            raise _refusal(error, claims) from error
        except Exception as error:  # claims that the SDK cannot use
            raise SignatureRefusedError("malformed", "the Authorization header is not a usable token") from error

    def _key(self, issuer: str) -> _Key:
        known = self._keys.get(issuer)
        if known is None:
            raise SignatureRefusedError(
                "unknown_key", "signed with an API key that is not configured here: see LIVEKIT_API_KEY, LIVEKIT_KEYS"
            )
        return known


def _token(authorization: str | None) -> str:
    if not authorization:
        raise SignatureRefusedError("missing", "no Authorization header: not a LiveKit webhook")
    if len(authorization) > TOKEN_MAX_BYTES:
        raise SignatureRefusedError("malformed", f"the Authorization header is longer than {TOKEN_MAX_BYTES} bytes")
    return authorization.removeprefix("Bearer ").strip()


def _refusal(error: jwt.PyJWTError, claims: Mapping[str, Any]) -> SignatureRefusedError:
    now = SystemClock().now().timestamp()
    match error:
        # The library compared these times only after it had verified the signature.
        case jwt.ImmatureSignatureError():
            ahead = max(_instant(claims.get("nbf")), _instant(claims.get("iat"))) - now
            message = f"by this machine's clock the token is valid only in {ahead:.0f} s: compare the clocks"
            return SignatureRefusedError("stale", message)
        case jwt.ExpiredSignatureError():
            ago = now - _instant(claims.get("exp"))
            message = f"by this machine's clock the token was valid until {ago:.0f} s ago: compare the clocks"
            return SignatureRefusedError("stale", message)
        case jwt.InvalidSignatureError():
            return SignatureRefusedError("bad_signature", "signed with another secret than this key's")
        case _:
            return SignatureRefusedError("malformed", "the Authorization header is not a usable token")


def _instant(claim: object) -> float:
    return max(-_LATEST_TIME, min(_LATEST_TIME, claim)) if isinstance(claim, int | float) else 0.0


def _unverified_claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer = claims["iss"]
    except (IndexError, KeyError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        raise SignatureRefusedError("malformed", "the Authorization header is not a usable token") from error
    if not isinstance(issuer, str):
        raise SignatureRefusedError("malformed", "the token's issuer is not text")
    result: dict[str, Any] = claims
    return result
