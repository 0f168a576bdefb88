from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.api import TokenVerifier, WebhookReceiver
from pydantic import SecretStr

from app.errors import SignatureRefusedError
from app.livekit.webhook_signature import Verifier
from app.settings import Project

RECORDED = sorted(Path(__file__).parents[2].joinpath("data/webhooks").glob("*.json"))
SECRET = "a-secret-that-is-long-enough-for-hs256"
OLD = "an-older-secret-that-is-long-enough-too"


def project(name: str, **keys: str) -> Project:
    secrets = {key: SecretStr(secret) for key, secret in keys.items()}
    first = next(iter(keys))
    return Project(name, "http://livekit", first, secrets[first], secrets)


VERIFIER = Verifier([project("default", key=SECRET, old=OLD), project("second", other=SECRET)])


def sign(body: bytes, *, key: str = "key", secret: str = SECRET, leave_out: str = "", **claims: Any) -> str:
    now = int(time.time())
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    payload = {"iss": key, "nbf": now - 1, "exp": now + 300, "sha256": digest, **claims}
    payload.pop(leave_out, None)
    return jwt.api_jws.encode(json.dumps(payload).encode(), secret, algorithm="HS256")


BODY = b'{"event":"room_started"}'


@pytest.mark.parametrize(
    ("key", "secret", "expected"), [("key", SECRET, "default"), ("old", OLD, "default"), ("other", SECRET, "second")]
)
def test_the_issuer_names_the_key_and_the_project(key: str, secret: str, expected: str) -> None:
    signature = VERIFIER.verify(BODY, sign(BODY, key=key, secret=secret, nbf=1_700_000_000))
    assert signature.project == expected
    assert signature.signed_at == 1_700_000_000


@pytest.mark.parametrize("odd", [-(10**400), -5, 0, -1e308, False])
def test_an_impossible_time_of_signing_is_none(odd: Any) -> None:
    token = sign(BODY, iat=odd, leave_out="nbf")
    assert VERIFIER.verify(BODY, token).signed_at == 0.0


FORGERIES: dict[str, Callable[[], str | None]] = {
    "missing": lambda: None,
    "unknown_key": lambda: sign(BODY, key="nobody"),
    "bad_signature": lambda: sign(BODY, secret=OLD),
    "stale": lambda: sign(BODY, nbf=int(time.time()) - 700, exp=int(time.time()) - 400),
    "tampered": lambda: sign(BODY + b" "),
    "malformed": lambda: "not.a.token",
}


@pytest.mark.parametrize("token", ["a." + "b" * 9_000 + ".c", "." * 9_000, sign(BODY, extra=["x"] * 3_000)])
def test_a_token_of_more_than_8_kib_is_not_decoded(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.livekit.webhook_signature._unverified_claims", lambda _: pytest.fail("decoded"))
    for judge in (lambda: VERIFIER.verify(BODY, token), lambda: VERIFIER.require_signed(token)):
        with pytest.raises(SignatureRefusedError, match="longer than 8192 bytes") as refused:
            judge()
        assert refused.value.reason == "malformed"


@pytest.mark.parametrize("reason", ["missing", "unknown_key", "bad_signature", "stale", "malformed"])
def test_the_sender_is_known_before_the_body(reason: str) -> None:
    VERIFIER.require_signed(sign(BODY))
    VERIFIER.require_signed(sign(BODY, key="old", secret=OLD))
    with pytest.raises(SignatureRefusedError) as refused:
        VERIFIER.require_signed(FORGERIES[reason]())
    assert refused.value.reason == reason


@pytest.mark.parametrize("claims", [{"nbf": 10**400}, {"exp": -(10**400)}, {"iat": 10**400, "nbf": "soon"}])
def test_an_impossible_time_of_validity_is_stale(claims: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefusedError, match="by this machine's clock") as refused:
        VERIFIER.verify(BODY, sign(BODY, **claims))
    assert refused.value.reason == "stale"


@pytest.mark.parametrize("reason", FORGERIES)
def test_forgeries_are_refused_with_their_reason(reason: str) -> None:
    with pytest.raises(SignatureRefusedError) as refused:
        VERIFIER.verify(BODY, FORGERIES[reason]())
    assert refused.value.reason == reason
    assert refused.value.status == 401


@pytest.mark.parametrize(
    "token",
    [
        sign(BODY, leave_out="sha256"),
        sign(BODY, leave_out="exp"),
        sign(BODY, leave_out="iss"),
        sign(BODY, sha256=5),
        sign(BODY, sha256="not base64 …"),
        sign(BODY, iss=["key"]),
        sign(BODY, video="odd"),
        jwt.encode({"iss": "key", "sha256": "x", "exp": 9_999_999_999}, "", algorithm="none"),
        "",
        ".",
        "a.b",
        "é.é.é",
        "." * 5000,
        "eyJhbGciOiJIUzI1NiJ9." + "[" * 5000 + ".x",
    ],
)
def test_odd_tokens_are_refused_not_raised(token: str) -> None:
    with pytest.raises(SignatureRefusedError):
        VERIFIER.verify(BODY, token)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_sdk_itself_accepts_what_we_accept(path: Path) -> None:
    body = json.dumps(json.loads(path.read_text("utf-8")))
    token = sign(body.encode())
    assert WebhookReceiver(TokenVerifier("key", SECRET)).receive(body, token).event
    assert VERIFIER.verify(body.encode(), token).project == "default"


@given(data=st.data())
def test_the_sdk_refuses_every_mutation_that_we_refuse(data: st.DataObject) -> None:
    body = '{"event":"room_started","room":{"name":"x"}}'
    token = sign(body.encode())
    target = data.draw(st.sampled_from(["body", "token"]))
    text = body if target == "body" else token
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters(min_codepoint=33, max_codepoint=126)) + text[place + 1 :]
    sent, shown = (changed, token) if target == "body" else (body, changed)
    # The last character of a base64 segment may hold bits that do not count: the SDK decides what is a forgery.
    assert _accepts_sdk(sent, shown) == _accepts_usher(sent, shown)


MOMENTS = st.one_of(
    st.none(),
    st.integers(-800, 800).map(lambda seconds: int(time.time()) + seconds),
    st.floats(-800, 800).map(lambda seconds: time.time() + seconds),
    st.sampled_from(["soon", True, False, 0, -1, 10**30, "1795366441", [1795366441], {}]),
)
HEADERS = st.sampled_from(
    [
        {"alg": "HS256", "typ": "JWT"},
        {"typ": "JWT", "alg": "HS256"},
        {"alg": "HS256"},
        {"alg": "none", "typ": "JWT"},
        {"alg": "HS512", "typ": "JWT"},
        {"alg": "HS256", "typ": "JWT", "crit": ["b64"], "b64": False},
    ]
)


@given(header=HEADERS, iat=MOMENTS, nbf=MOMENTS, exp=MOMENTS, more=st.sampled_from([{}, {"aud": "x"}, {"sub": 5}]))
def test_the_sdk_judges_claims_and_headers_as_we_do(
    header: dict[str, Any], iat: Any, nbf: Any, exp: Any, more: dict[str, Any]
) -> None:
    """A holder of the secret may claim anything: Usher must accept exactly what the SDK accepts."""
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    said = {"iss": "key", "iat": iat, "nbf": nbf, "exp": exp, "sha256": digest, **more}
    claims = {name: value for name, value in said.items() if value is not None}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).rstrip(b"=")
    token = (signed + b"." + signature).decode()
    assert _accepts_sdk(BODY.decode(), token) == _accepts_usher(BODY.decode(), token)


def _accepts_sdk(body: str, token: str) -> bool:
    try:
        TokenVerifier("key", SECRET).verify(token)
        digest = hashlib.sha256(body.encode()).digest()
        claimed = base64.b64decode(jwt.decode(token, options={"verify_signature": False})["sha256"])
    except Exception:  # noqa: BLE001 - whatever the SDK raises is a refusal
        return False
    return digest == claimed


def _accepts_usher(body: str, token: str) -> bool:
    try:
        VERIFIER.verify(body.encode(), token)
    except SignatureRefusedError:
        return False
    return True
