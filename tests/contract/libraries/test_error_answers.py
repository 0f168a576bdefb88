"""What LiveKit, or a proxy before it, answers in another form than Twirp's reaches people in its own words."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web
from google.protobuf.message import DecodeError
from pydantic import SecretStr

from app.clock import SystemClock
from app.livekit.client import DispatchRequest
from app.livekit.failures.trouble import Trouble, TroubleKind, failure_kind
from app.livekit.outcome import LiveKitUnavailableError, Rejected, Unknown, Unreachable
from app.livekit.twirp import DOWN_AFTER, LiveKitApi
from app.livekit.vocabulary import RestartPolicy
from app.metrics import Metrics
from app.settings import Project

REQUEST = DispatchRequest("hall", "greeter", "", {}, None, RestartPolicy.NEVER)


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[LiveKitApi]:
    """A client of a server that gives these answers in turn, and the last one from then on."""
    left = list(answers)

    async def answer(_request: web.Request) -> web.Response:
        given = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=given.status, body=given.body, headers=given.headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    client = _client(f"http://{host}:{port}")
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def _client(url: str) -> LiveKitApi:
    project = Project("default", url, "APIkey", SecretStr("a secret of thirty-two bytes or so"), {})
    return LiveKitApi(project, 5.0, Metrics(), SystemClock())


def plain(status: int, text: str, *, clock_ahead_s: float = 0) -> web.Response:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=clock_ahead_s), usegmt=True)
    return web.Response(status=status, text=text, headers={"Date": date})


@pytest.mark.parametrize(
    ("body", "clock_ahead_s", "kind"),
    [
        ("invalid API key: APIkey\n", 0, TroubleKind.UNKNOWN_KEY),
        ("invalid token: error in cryptographic primitive", 0, TroubleKind.WRONG_SECRET),
        ("invalid token: token is expired (exp)", 9000, TroubleKind.WRONG_CLOCK),
    ],
)
async def test_a_refused_key_is_named_in_livekits_own_words(body: str, clock_ahead_s: float, kind: TroubleKind) -> None:
    text = " ".join(body.split())
    async with answering(plain(401, body, clock_ahead_s=clock_ahead_s)) as client:
        with pytest.raises(LiveKitUnavailableError, match=f"ListRooms: unauthenticated: HTTP 401: {text[:20]}"):
            await client.list_rooms()
        assert client.trouble == Trouble(kind, f"HTTP 401: {text}")
        assert not client.is_down
        outcome = await client.create_dispatch(REQUEST)
        assert outcome == Rejected("unauthenticated", f"HTTP 401: {text}")
        assert client.trouble == Trouble(kind, f"HTTP 401: {text}", failures=2)


async def test_html_of_a_proxy_is_shortened_and_has_its_status() -> None:
    async with answering(plain(502, "<html>\n<h1>Bad Gateway</h1>" + "x" * 5000)) as client:
        with pytest.raises(LiveKitUnavailableError, match="HTTP 502: <html> <h1>Bad Gateway") as caught:
            await client.list_rooms()
        assert len(str(caught.value)) < 400
        assert client.trouble is not None
        assert client.trouble.kind is TroubleKind.ERROR


async def test_an_error_of_twirp_is_read_as_before_and_is_no_trouble_of_others() -> None:
    refused = web.json_response({"code": "invalid_argument", "msg": "no room"}, status=400)
    async with answering(refused) as client:
        assert await client.create_dispatch(REQUEST) == Rejected("invalid_argument", "no room", permanent=True)
        assert client.was_called
        assert client.trouble is None


async def test_an_answer_ends_the_trouble() -> None:
    async with answering(plain(401, "invalid API key: APIkey"), web.Response(body=b"")) as client:
        with pytest.raises(LiveKitUnavailableError):
            await client.list_rooms()
        assert await client.list_rooms() == []
        assert client.trouble is None


async def test_without_a_server_livekit_is_unreachable() -> None:
    client = _client("http://127.0.0.1:9")
    try:
        assert not client.was_called
        assert isinstance(await client.create_dispatch(REQUEST), Unreachable)
        assert client.trouble is not None
        assert client.trouble.kind is TroubleKind.UNREACHABLE
    finally:
        await client.close()


def test_an_error_of_tls_is_told_apart() -> None:
    assert failure_kind(ssl.SSLCertVerificationError("self-signed certificate")) is TroubleKind.TLS
    assert failure_kind(aiohttp.ServerDisconnectedError()) is TroubleKind.UNREACHABLE


async def test_an_update_of_attributes_that_fails_counts_among_the_calls() -> None:
    refused = plain(401, "invalid API key: APIkey")
    async with answering(refused, web.Response(body=b"")) as client:
        with pytest.raises(LiveKitUnavailableError, match="UpdateParticipant: HTTP 401: invalid API key"):
            await client.update_attributes("hall", "ana", {"state": "waiting"})
        assert client.trouble == Trouble(TroubleKind.UNKNOWN_KEY, "HTTP 401: invalid API key: APIkey")
        await client.update_attributes("hall", "ana", {"state": "waiting"})
        assert client.trouble is None


async def test_answers_without_a_dispatch_id_in_a_row_mean_that_livekit_is_down() -> None:
    async with answering(web.Response(body=b"")) as client:
        for _ in range(DOWN_AFTER):
            assert not client.is_down
            outcome = await client.create_dispatch(REQUEST)
            assert outcome == Unknown("unreadable", "LiveKit's answer names no dispatch id")
        assert client.is_down
        assert client.trouble == Trouble(TroubleKind.ERROR, "LiveKit's answer names no dispatch id", DOWN_AFTER)


async def test_a_page_of_another_server_is_an_error_of_livekit() -> None:
    page = web.Response(text="<html><h1>Welcome</h1></html>", content_type="text/html")
    async with answering(page) as client:
        with pytest.raises(LiveKitUnavailableError, match=r"ListRooms: Error parsing message") as caught:
            await client.list_rooms()
        assert "is LIVEKIT_URL its address" in caught.value.advice
        assert client.trouble is not None
        assert client.trouble.kind is TroubleKind.ERROR
        outcome = await client.create_dispatch(REQUEST)
        assert isinstance(outcome, Unknown)
        assert client.trouble.kind is TroubleKind.ERROR


@pytest.mark.parametrize("error", [ValueError("no number"), DecodeError("no message")])
def test_an_answer_that_cannot_be_read_is_an_error_of_livekit(error: Exception) -> None:
    assert failure_kind(error) is TroubleKind.ERROR
