"""Tokens, routes and forms of the server API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from livekit import api

from tests.contract.livekit import Calls

SECRET = "a secret that is not this server's own, but long enough"


def token(key: str, secret: str, *, ttl: float = 60, **grants: Any) -> str:
    made = api.AccessToken(key, secret).with_identity("tester").with_grants(api.VideoGrants(**grants))
    return made.with_ttl(timedelta(seconds=ttl)).to_jwt()


async def ask(
    calls: Calls,
    method: str,
    bearer: str | None,
    body: bytes = b"{}",
    *,
    form: str = "application/json",
    verb: str = "POST",
) -> tuple[int, str, str]:
    """Return status, content type and text of one bare call."""
    headers = {"Content-Type": form} | ({"Authorization": bearer} if bearer is not None else {})
    url = f"{calls.livekit.url}/twirp/livekit.{method}"
    async with aiohttp.ClientSession() as session, session.request(verb, url, data=body, headers=headers) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_without_a_token_every_call_is_refused(calls: Calls) -> None:
    status, form, text = await ask(calls, "RoomService/ListRooms", None)
    assert (status, form) == (401, "application/json")
    assert '"unauthenticated"' in text


async def test_a_token_of_another_key_is_refused(calls: Calls) -> None:
    key, secret = calls.livekit.key, calls.livekit.secret
    wrong = {
        "no bearer": token(key, secret, room_list=True),
        "no token": "Bearer nonsense",
        "unknown key": "Bearer " + token("unknown", secret, room_list=True),
        "wrong secret": "Bearer " + token(key, SECRET, room_list=True),
        "expired": "Bearer " + token(key, secret, ttl=-3600, room_list=True),
    }
    for why, bearer in wrong.items():
        status, _, text = await ask(calls, "RoomService/ListRooms", bearer)
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
async def test_a_token_allows_only_what_it_grants(calls: Calls, method: str, grants: dict[str, Any]) -> None:
    bearer = "Bearer " + token(calls.livekit.key, calls.livekit.secret, **grants)
    status, form, text = await ask(calls, method, bearer, b'{"room": "guarded", "name": "guarded"}')
    assert (status, form) == (401, "application/json")
    assert '"unauthenticated"' in text
    assert "guarded" not in await calls.room_names()


async def test_json_answers_have_the_protocols_field_names(calls: Calls) -> None:
    await calls.livekit.join("ana", "json")
    bearer = "Bearer " + token(calls.livekit.key, calls.livekit.secret, room_admin=True, room="json")
    body = b'{"room": "json", "agentName": "nobody", "attributes": {"a": "b"}}'
    status, form, text = await ask(calls, "AgentDispatchService/CreateDispatch", bearer, body)
    assert (status, form) == (200, "application/json")
    assert '"agent_name"' in text
    assert [dict(each.attributes) for each in await calls.dispatches("json")] == [{"a": "b"}]


@pytest.mark.parametrize(
    ("body", "form"), [(b"\xff\xff\xff", "application/protobuf"), (b"{not json", "application/json")]
)
async def test_what_cannot_be_read_is_malformed(calls: Calls, body: bytes, form: str) -> None:
    bearer = "Bearer " + token(calls.livekit.key, calls.livekit.secret, room_list=True)
    status, answered, text = await ask(calls, "RoomService/ListRooms", bearer, body, form=form)
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
async def test_other_routes_are_bad_routes(calls: Calls, method: str, verb: str, form: str) -> None:
    bearer = "Bearer " + token(calls.livekit.key, calls.livekit.secret, room_list=True)
    status, answered, text = await ask(calls, method, bearer, form=form, verb=verb)
    assert (status, answered) == (404, "application/json")
    assert '"bad_route"' in text
