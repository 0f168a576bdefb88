"""What Usher overrides or relies on inside LiveKit's SDK, so that a new version of the SDK is noticed here."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import jwt
import pytest
from livekit import api
from livekit.api.access_token import DEFAULT_LEEWAY
from pydantic import SecretStr

from app.errors import SignatureRefusedError
from app.livekit.access_token import TOKEN_LIFE_S, AgentDispatches, Rooms
from app.livekit.webhook_signature import Verifier
from app.settings import Project
from tests.conftest import StillClock

SECRET = "a secret of thirty-two bytes or more"
PROJECT = Project("default", "http://livekit", "key", SecretStr(SECRET), {"key": SecretStr(SECRET)})
BODY = b'{"event": "room_started"}'


class RecordingSession:
    """Stands for the aiohttp session of the SDK; answers nothing."""

    timeout = None

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def post(self, url: str, *, headers: dict[str, str], **_: Any) -> Any:  # noqa: ARG002 - as aiohttp names it
        self.headers = dict(headers)
        raise ConnectionRefusedError


def unchecked_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token of ours whose times are not the machine's."""
    options: Any = {"verify_exp": False, "verify_nbf": False}
    claims: dict[str, Any] = jwt.decode(token.removeprefix("Bearer "), SECRET, algorithms=["HS256"], options=options)
    return claims


@pytest.mark.parametrize(
    ("service", "grants"),
    [
        (Rooms, {"room": "hall", "roomAdmin": True}),
        (AgentDispatches, {"room": "hall", "roomAdmin": True}),
    ],
)
async def test_the_sdk_signs_its_calls_with_our_method(service: Any, grants: dict[str, Any]) -> None:
    session, clock = RecordingSession(), StillClock()
    client = service(session, PROJECT, clock)
    call = (
        client.list_participants(api.ListParticipantsRequest(room="hall"))
        if service is Rooms
        else client.list_dispatch("hall")
    )
    with pytest.raises(ConnectionRefusedError):
        await call
    header = {name.lower(): value for name, value in session.headers.items()}["authorization"]
    claims = unchecked_claims(header)
    now = int(clock.now().timestamp())
    assert grants.items() <= claims.pop("video").items()
    assert claims == {"iss": "key", "nbf": now, "exp": now + TOKEN_LIFE_S}


def test_our_tokens_say_what_the_sdks_own_say() -> None:
    grants = api.VideoGrants(room_admin=True, room="hall", can_publish=False, can_publish_sources=["camera"])
    client: Any = Rooms(RecordingSession(), PROJECT, StillClock())  # type: ignore[arg-type] # nothing is sent
    ours = unchecked_claims(client._auth_header(grants)["authorization"])  # noqa: SLF001 - the SDK's part that we rest on
    theirs = unchecked_claims(api.AccessToken("key", SECRET).with_grants(grants).to_jwt())
    assert ours["video"] == theirs["video"]
    assert ours["iss"] == theirs["iss"]


def signed(body: bytes, now: float) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": "key", "nbf": int(now), "exp": int(now) + 300, "sha256": digest}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def test_the_receiver_hashes_what_encode_returns() -> None:
    class Body(str):
        __slots__ = ("asked",)
        asked: int

        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - str's signature
            self.asked = 1
            return BODY

    body = Body("{}")
    receiver = api.WebhookReceiver(api.TokenVerifier("key", SECRET))
    event = receiver.receive(body, signed(BODY, time.time()))
    assert body.asked == 1
    assert event.event == ""  # parsed from the text "{}", not from the signed bytes


@pytest.mark.parametrize(
    ("late", "refused"), [(-30, ""), (30, ""), (-90, r"only in \d\d s"), (90, r"until \d{2,3} s ago")]
)
def test_a_token_is_verified_with_the_leeway_that_the_sdk_publishes(late: float, refused: str) -> None:
    assert DEFAULT_LEEWAY.total_seconds() == 60
    start = time.time() - late if late < 0 else time.time() - 300 - late
    token = signed(BODY, start)
    if not refused:
        assert Verifier([PROJECT]).verify(BODY, token).project == "default"
    else:
        with pytest.raises(SignatureRefusedError, match=refused):
            Verifier([PROJECT]).verify(BODY, token)
