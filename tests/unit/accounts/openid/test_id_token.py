"""Which ID tokens are believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from app.accounts.openid.id_token import UnknownKeyError, read_keys, verify_id_token
from app.accounts.openid.id_token_expected import Expected
from app.accounts.openid.login_errors import LoginRefusedError

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
CURVE_KEY = ECKey.generate_key("P-256", {"kid": "two"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"})
EXPECTED = Expected("https://login.example.com", "usher", "the nonce")
CLAIMS = {
    "iss": "https://login.example.com",
    "sub": "248289761001",
    "aud": "usher",
    "exp": int(NOW.timestamp()) + 300,
    "iat": int(NOW.timestamp()),
    "nonce": "the nonce",
    "email": "ana@example.com",
}


def public(*keys: Key) -> list[Key]:
    return read_keys({"keys": [key.as_dict(private=False) for key in keys]})


def signed(key: Key = KEY, algorithm: str = "RS256", *, key_id: str | None = "one", **claims: Any) -> str:
    header = {"alg": algorithm} if key_id is None else {"alg": algorithm, "kid": key_id}
    return jwt.encode(header, {**CLAIMS, **claims}, key, algorithms=[algorithm])


def verified(token: Any, keys: list[Key] | None = None, expected: Expected = EXPECTED) -> Any:
    return verify_id_token(token, public(KEY, CURVE_KEY) if keys is None else keys, expected, now=NOW)


def without(claim: str) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, {k: v for k, v in CLAIMS.items() if k != claim}, KEY)


def unsigned(algorithm: str = "none") -> str:
    parts = [json.dumps({"alg": algorithm, "kid": "one"}).encode(), json.dumps(CLAIMS).encode()]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def by_the_public_key() -> str:
    """Return a token whose HMAC is made with what everybody knows: the provider's public key."""
    signing_input = unsigned("HS256").rstrip(".")
    made = hmac.new(KEY.as_pem(private=False), signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def tampered() -> str:
    header, _, signature = signed().split(".")
    payload = json.dumps({**CLAIMS, "sub": "another"}).encode()
    return f"{header}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize("key_id", ["one", None])
def test_a_right_token_gives_its_claims(key_id: str | None) -> None:
    assert verified(signed(key_id=key_id)) == CLAIMS


def test_keys_of_other_kinds_verify_too() -> None:
    assert verified(signed(CURVE_KEY, "ES256", key_id="two"))["sub"] == "248289761001"
    plain = RSAKey.generate_key(2048, {"kid": "one"})
    assert verified(signed(plain, "PS256"), public(plain))["sub"] == "248289761001"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"nonce": "another"}, id="nonce"),
        pytest.param({"iss": "https://login.example.com/"}, id="issuer"),
        pytest.param({"iss": None}, id="no-issuer"),
        pytest.param({"aud": "another"}, id="audience"),
        pytest.param({"aud": ["another"]}, id="audiences"),
        pytest.param({"aud": ["usher", "another"]}, id="several-audiences-and-no-azp"),
        pytest.param({"aud": ["usher", "another"], "azp": "another"}, id="for-another-party"),
        pytest.param({"exp": int(NOW.timestamp()) - 61}, id="expired"),
        pytest.param({"exp": "tomorrow"}, id="expiry-is-text"),
        pytest.param({"nbf": int(NOW.timestamp()) + 300}, id="not-yet-valid"),
        pytest.param({"sub": ""}, id="no-subject"),
        pytest.param({"sub": 7}, id="subject-is-a-number"),
        pytest.param({"sub": "x" * 256}, id="long-subject"),
        pytest.param({"sub": "a\0b"}, id="subject-that-no-database-takes"),
    ],
)
def test_a_wrong_claim_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(LoginRefusedError, match="not logged in"):
        verified(signed(**claims))


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "nonce"])
def test_a_missing_claim_is_refused(claim: str) -> None:
    with pytest.raises(LoginRefusedError):
        verified(without(claim))


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(unsigned, id="none"),
        pytest.param(lambda: unsigned("NONE"), id="none-in-capitals"),
        pytest.param(lambda: unsigned("RS256"), id="empty-signature"),
        pytest.param(by_the_public_key, id="hmac-with-the-public-key"),
        pytest.param(lambda: signed(OctKey.import_key("the client's secret"), "HS256"), id="hmac-with-the-secret"),
        pytest.param(lambda: signed(OTHER_KEY), id="another-key-of-that-id"),
        pytest.param(tampered, id="tampered"),
        pytest.param(lambda: "nonsense", id="no-token"),
        pytest.param(lambda: "a.b.c", id="no-json"),
        pytest.param(lambda: "é.b.c", id="no-ascii"),
        pytest.param(lambda: "x" * 200_000, id="long"),
        pytest.param(lambda: None, id="nothing"),
        pytest.param(lambda: {"alg": "none"}, id="an-object"),
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_what_is_not_signed_by_the_provider_is_refused(made: Callable[[], Any]) -> None:
    with pytest.raises(LoginRefusedError):
        verified(made())


@pytest.mark.parametrize("token", [signed(key_id="three"), signed(OTHER_KEY, key_id=None)], ids=["id", "no-id"])
def test_a_key_that_is_not_known_may_be_a_new_one(token: str) -> None:
    with pytest.raises(UnknownKeyError):
        verified(token)


def test_a_key_for_encryption_or_of_another_algorithm_verifies_nothing() -> None:
    for change in ({"use": "enc"}, {"alg": "RS512"}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "new"}, {"n": 7}):
        keys = read_keys({"keys": [KEY.as_dict(private=False) | change]})
        with pytest.raises(UnknownKeyError):
            verified(signed(), keys)


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": [1, None, {}]}])
def test_a_key_set_that_cannot_be_read_has_no_keys(document: Any) -> None:
    assert read_keys(document) == []


def test_a_new_login_must_be_new() -> None:
    expected = Expected(EXPECTED.issuer, EXPECTED.client_id, EXPECTED.nonce, NOW - timedelta(seconds=30))
    assert verified(signed(auth_time=int(NOW.timestamp()) - 20), expected=expected)
    for auth_time in (int(NOW.timestamp()) - 3600, None, True, "now"):
        with pytest.raises(LoginRefusedError):
            verified(signed(auth_time=auth_time), expected=expected)


def test_a_new_login_is_new_by_the_clock_of_the_provider() -> None:
    # Given a provider whose clock is four minutes behind ours, and a login that began half a minute ago
    expected = Expected(EXPECTED.issuer, EXPECTED.client_id, EXPECTED.nonce, NOW - timedelta(seconds=30))
    there = int(NOW.timestamp()) - 240
    assert verified(signed(iat=there, auth_time=there - 20), expected=expected)
    with pytest.raises(LoginRefusedError, match="not asked you to log in again"):
        verified(signed(iat=there, auth_time=there - 100), expected=expected)


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_the_reason_of_a_refusal_says_that_clocks_differ(seconds: int) -> None:
    there = int(NOW.timestamp()) - seconds
    with pytest.raises(LoginRefusedError) as refused:
        verified(signed(iat=there, exp=there + 300))
    assert f"differ by {seconds:+d} s" in refused.value.detail
