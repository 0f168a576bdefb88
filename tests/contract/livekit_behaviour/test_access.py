"""Tokens, routes and forms of the server API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from livekit import api

from tests.contract.livekit import Desk

SECRET = "a secret that is not this server's own, but long enough"


def token(key: str, secret: str, *, ttl: float = 60, **grants: Any) -> str:
    made = api.AccessToken(key, secret).with_identity("tester").with_grants(api.VideoGrants(**grants))
    return made.with_ttl(timedelta(seconds=ttl)).to_jwt()


async def ask(
    desk: Desk,
    method: str,
    bearer: str | None,
    body: bytes = b"{}",
    *,
    form: str = "application/json",
    verb: str = "POST",
) -> tuple[int, str, str]:
    """Return status, content type and text of one bare call."""
    headers = {"Content-Type": form} | ({"Authorization": bearer} if bearer is not None else {})
    url = f"{desk.livekit.url}/twirp/livekit.{method}"
    async with aiohttp.ClientSession() as session, session.request(verb, url, data=body, headers=headers) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_without_a_token_nothing_is_told(desk: Desk) -> None:
    status, form, text = await ask(desk, "RoomService/ListRooms", None)
    assert (status, form) == (401, "application/json")
    assert '"unauthenticated"' in text


async def test_a_token_that_is_not_the_servers_own_is_refused(desk: Desk) -> None:
    key, secret = desk.livekit.key, desk.livekit.secret
    wrong = {
        "no bearer": token(key, secret, room_list=True),
        "no token": "Bearer nonsense",
        "unknown key": "Bearer " + token("unknown", secret, room_list=True),
        "wrong secret": "Bearer " + token(key, SECRET, room_list=True),
        "expired": "Bearer " + token(key, secret, ttl=-3600, room_list=True),
    }
    for why, bearer in wrong.items():
        status, _, text = await ask(desk, "RoomService/ListRooms", bearer)
        assert (why, status) == (why, 401)
        assert "rooms" not in text


@pytest.mark.parametrize(
    ("method", "grants"),
    [
        ("RoomService/ListRooms", {"room_create": True}),
        ("RoomService/CreateRoom", {"room_list": True}),
        ("RoomService/DeleteRoom", {"room_admin": True, "room": "guarded"}),
        ("RoomService/ListParticipants", {"room_admin": True, "room": "another"}),
        ("RoomService/ListParticipants", {"room_join": True, "room": "guarded"}),
        ("AgentDispatchService/ListDispatch", {"room_admin": True, "room": "another"}),
        ("AgentDispatchService/CreateDispatch", {"room_admin": True}),
        ("AgentDispatchService/DeleteDispatch", {"room_list": True, "room_create": True}),
    ],
)
async def test_a_token_allows_only_what_it_grants(desk: Desk, method: str, grants: dict[str, Any]) -> None:
    bearer = "Bearer " + token(desk.livekit.key, desk.livekit.secret, **grants)
    status, form, text = await ask(desk, method, bearer, b'{"room": "guarded", "name": "guarded"}')
    assert (status, form) == (401, "application/json")
    assert '"unauthenticated"' in text
    assert "guarded" not in await desk.room_names()


async def test_json_is_spoken_with_the_names_of_the_protocol(desk: Desk) -> None:
    await desk.livekit.join("ana", "json")
    bearer = "Bearer " + token(desk.livekit.key, desk.livekit.secret, room_admin=True, room="json")
    body = b'{"room": "json", "agentName": "nobody", "attributes": {"a": "b"}}'
    status, form, text = await ask(desk, "AgentDispatchService/CreateDispatch", bearer, body)
    assert (status, form) == (200, "application/json")
    assert '"agent_name"' in text
    assert [dict(each.attributes) for each in await desk.dispatches("json")] == [{"a": "b"}]


@pytest.mark.parametrize(
    ("body", "form"), [(b"\xff\xff\xff", "application/protobuf"), (b"{not json", "application/json")]
)
async def test_what_cannot_be_read_is_malformed(desk: Desk, body: bytes, form: str) -> None:
    bearer = "Bearer " + token(desk.livekit.key, desk.livekit.secret, room_list=True)
    status, answered, text = await ask(desk, "RoomService/ListRooms", bearer, body, form=form)
    assert (status, answered) == (400, "application/json")
    assert '"malformed"' in text


@pytest.mark.parametrize(
    ("method", "verb", "form"),
    [
        ("RoomService/DanceAround", "POST", "application/json"),
        ("RoomService/ListRooms", "GET", "application/json"),
        ("RoomService/ListRooms", "POST", "text/plain"),
    ],
)
async def test_other_routes_are_bad_routes(desk: Desk, method: str, verb: str, form: str) -> None:
    bearer = "Bearer " + token(desk.livekit.key, desk.livekit.secret, room_list=True)
    status, answered, text = await ask(desk, method, bearer, form=form, verb=verb)
    assert (status, answered) == (404, "application/json")
    assert '"bad_route"' in text
