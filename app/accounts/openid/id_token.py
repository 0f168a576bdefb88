"""Verifies ID tokens (OpenID Connect Core 1.0, 3.1.3.7).

Only signatures by a key pair are accepted, never `none`, nor an HMAC: with that, the provider's public key could be
taken for the shared secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from authlib.oidc.core.claims import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from app.accounts.openid.id_token_expected import Expected, authenticated_at
from app.accounts.openid.login_errors import LoginRefusedError
from app.translation import translatable

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
LEEWAY_S: Final = 60
"""By how much the clocks of the provider and of this machine may differ."""
MAX_TOKEN: Final = 100_000
"""Characters; tokens with hundreds of groups have some 20,000."""
MAX_SUBJECT: Final = 255
_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class UnknownKeyError(Exception):
    """The token is signed with a key that the provider did not have when its keys were read."""


def read_keys(document: Any) -> list[Key]:
    """Return the public keys of a JWK set that are for signatures; what cannot be used is left out."""
    entries = document.get("keys") if isinstance(document, dict) else None
    keys = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            keys.append(JWKRegistry.import_key(entry))
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue  # a type or a curve that is not known here; others may be usable
    return keys


def verify_id_token(
    token: Any, keys: list[Key], expected: Expected, *, access_token: str = "", now: datetime
) -> Mapping[str, Any]:
    """Return the claims of an ID token.

    Raises UnknownKeyError if none of `keys` may have signed it, LoginRefusedError for anything else that is wrong.
    """
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise _refused("there is no ID token in the answer")
    header = _header(token)
    verified: dict[str, Any] = {}
    try:
        verified = _verified(token, header, keys)
        options: Any = {
            "iss": {"essential": True, "value": expected.issuer},
            "aud": {"essential": True, "value": expected.client_id},
            "nonce": {"essential": True, "value": expected.nonce},
        }
        params = {"client_id": expected.client_id, "nonce": expected.nonce, "access_token": access_token}
        claims = CodeIDToken(verified, header, options, params)
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
    except JoseError as error:
        raise _refused(f"{error}{_clock_difference(verified, now)}") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _refused(f"it cannot be read: {type(error).__name__}") from error
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT or "\0" in subject:
        raise _refused("its sub is no text of 1 to 255 characters")
    _require_new_authentication(claims, expected, now)
    return dict(claims)


def _header(token: str) -> dict[str, Any]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise _refused("the ID token is no signed token") from error
    if header.get("alg") not in ALGORITHMS:
        raise _refused(f"it is signed by {str(header.get('alg'))[:20]!r}, which is not accepted")
    return header


def _verified(token: str, header: Mapping[str, Any], keys: list[Key]) -> dict[str, Any]:
    """Return the claims, whose signature is right."""
    key_id, algorithm = header.get("kid"), str(header["alg"])
    possible = [
        key
        for key in keys
        if key.key_type == _KEY_TYPES[algorithm[:2]]
        and key.get("alg") in {None, algorithm}
        and (key_id is None or key.get("kid") == key_id)
    ]
    if not possible:
        raise UnknownKeyError
    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    wrong: JoseError | None = None
    for key in possible:
        try:
            return dict(jwt.decode(token, key, registry=registry).claims)
        except JoseError as error:
            wrong = error
    if key_id is None:
        raise UnknownKeyError  # the provider names no keys: it may have a new one
    raise _refused(str(wrong)) from wrong


def _clock_difference(claims: Mapping[str, Any], now: datetime) -> str:
    """Return what to add to a reason if the clocks differ by more than they may: a token is some milliseconds old."""
    issued_at = claims.get("iat")
    if not isinstance(issued_at, int | float) or not abs(now.timestamp() - issued_at) > LEEWAY_S:
        return ""
    return f" (the provider's clock and that of this machine differ by {now.timestamp() - issued_at:+.0f} s)"


def _require_new_authentication(claims: Mapping[str, Any], expected: Expected, now: datetime) -> None:
    if expected.authenticated_since is None:
        return
    at = authenticated_at(claims)
    if at is None:
        raise LoginRefusedError(
            translatable(
                "The provider does not say when you have logged in there, so it cannot confirm who you are. Choose a "
                "password for this: an admin can give you a link."
            ),
            "no auth_time in the ID token",
        )
    # Both times are of the provider's clock, so that it may differ from ours.
    seconds_ago = float(claims["iat"]) - at
    if not seconds_ago <= (now - expected.authenticated_since).total_seconds() + LEEWAY_S:
        raise LoginRefusedError(
            translatable(
                "The provider has not asked you to log in again, so it cannot confirm who you are. Log out there and "
                "try again, or choose a password for this: an admin can give you a link."
            ),
            "no new login at the provider",
        )


def _refused(why: str) -> LoginRefusedError:
    message = translatable(
        "What the provider says of you cannot be trusted, so you are not logged in. An admin can see why."
    )
    return LoginRefusedError(message, f"ID token refused: {why}")
