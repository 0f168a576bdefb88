"""The quick look at a token is held against the SDK's receiver: it may be silent, but never kinder."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from livekit.api import TokenVerifier, WebhookReceiver

from app.webhook.token import encoded, is_plainly_right

KEY, SECRET = "APIkey", "a-secret-that-is-long-enough-for-everybody"
NOW = 1_795_364_212
BODY = b'{"event":"room_started"}'
HEADER = {"alg": "HS256", "typ": "JWT"}
RECEIVER = WebhookReceiver(TokenVerifier(KEY, SECRET))


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def claims_of(**others: Any) -> dict[str, Any]:
    """Return the claims that livekit-server 1.13.5 makes, in its order, with `others` in their place."""
    return {"iss": KEY, "exp": NOW + 300, "nbf": NOW, "iat": NOW, "sha256": digest(BODY)} | others


def token_of(claims: Any, *, header: Any = HEADER, secret: str = SECRET) -> str:
    parts = [encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    signature = hmac.digest(secret.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, encoded(signature)]).decode()


def plainly(token: str, claims: dict[str, Any], body: bytes = BODY, now: float = NOW + 1) -> bool:
    return is_plainly_right(token, claims, SECRET.encode(), body, now)


@pytest.mark.parametrize("header", [HEADER, {"typ": "JWT", "alg": "HS256"}])
def test_what_livekit_signs_is_plainly_right(header: dict[str, str]) -> None:
    claims = claims_of()
    assert plainly(token_of(claims, header=header), claims)


@pytest.mark.parametrize(
    "claims",
    [
        claims_of(exp=NOW),
        claims_of(nbf=NOW + 10),
        claims_of(iat=NOW + 10),
        claims_of(exp=str(NOW + 300)),
        claims_of(exp=True),
        claims_of(sha256=digest(b"another")),
        claims_of(sha256=None),
        claims_of(sub="somebody"),
        claims_of(aud="somebody"),
        {name: value for name, value in claims_of().items() if name != "nbf"},
    ],
)
def test_it_is_silent_about_other_claims(claims: dict[str, Any]) -> None:
    assert not plainly(token_of(claims), claims)


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS512", "typ": "JWT"}, {**HEADER, "crit": ["b64"]}, 7])
def test_it_is_silent_about_other_headers(header: Any) -> None:
    claims = claims_of()
    assert not plainly(token_of(claims, header=header), claims)


def test_it_is_silent_about_other_secrets_and_bodies() -> None:
    claims = claims_of()
    assert not plainly(token_of(claims, secret="another-secret"), claims)
    assert not plainly(token_of(claims), claims, body=BODY + b" ")


NUMBERS = st.sampled_from([0, -1, NOW - 400, NOW - 1, NOW, NOW + 1, NOW + 30, NOW + 300, 10**30])
ODDITIES: st.SearchStrategy[Any] = st.sampled_from([None, True, "", "1", 1.5, [], {}])


@st.composite
def webhooks(draw: st.DrawFn) -> tuple[str, dict[str, Any], bytes]:
    claims = claims_of()
    for name in draw(st.sets(st.sampled_from(["exp", "nbf", "iat"]))):
        claims[name] = draw(NUMBERS | ODDITIES)
    if draw(st.booleans()):
        claims[draw(st.sampled_from(["sub", "aud", "jti", "sha256", "video", "kind"]))] = draw(ODDITIES)
    for name in draw(st.sets(st.sampled_from(["exp", "nbf", "iat", "sha256"]), max_size=1)):
        del claims[name]
    header = draw(st.sampled_from([HEADER, {"alg": "HS256"}, {**HEADER, "crit": ["b64"]}, {**HEADER, "b64": False}]))
    token = token_of(claims, header=header, secret=draw(st.sampled_from([SECRET, SECRET, "", "another"])))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(token) - 1))
        token = token[:place] + draw(st.sampled_from("AZ.=-_é")) + token[place + 1 :]
    return token, claims, draw(st.sampled_from([BODY, BODY, b"", b"{}"]))


@given(webhooks())
def test_it_is_never_kinder_than_the_sdk(webhook: tuple[str, dict[str, Any], bytes]) -> None:
    token, claims, body = webhook
    with time_machine.travel(NOW + 1, tick=False):
        if plainly(token, claims, body):
            RECEIVER._verifier.verify(token)
            assert claims["sha256"] == digest(body)
