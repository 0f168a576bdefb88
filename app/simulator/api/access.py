"""LiveKit's access tokens, checked as its own API checks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

_LEEWAY_SECONDS = 60
_BEARER = "Bearer "


class TokenRefusedError(Exception):
    """The token is not valid here; LiveKit answers 401 with plain text, not with a Twirp error."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The claims `video` and `sip` of a token; all false without a token."""

    room_admin: bool = False
    room_create: bool = False
    room_list: bool = False
    room: str = ""
    sip_call: bool = False
    """`sip.call` of the token."""
    every_room: bool = False
    """Not LiveKit's: tokens are not checked."""

    def administrates(self, room: str) -> bool:
        return self.room_admin and (self.every_room or self.room == room)


ALL_GRANTS = Grants(room_admin=True, room_create=True, room_list=True, sip_call=True, every_room=True)


def read_grants(authorization: str, keys: Mapping[str, str]) -> Grants:
    """Return what the token in an `Authorization` header allows; raise TokenRefusedError."""
    if not authorization:
        return Grants()
    if not authorization.startswith(_BEARER):
        raise TokenRefusedError(f"invalid authorization header. Must start with {_BEARER}")
    token = authorization[len(_BEARER) :]
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss", "")
    except jwt.InvalidTokenError as error:
        raise TokenRefusedError("invalid authorization token") from error
    secret = keys.get(issuer)
    if not secret:
        raise TokenRefusedError("invalid API key")
    try:
        claims: Mapping[str, Any] = jwt.decode(token, secret, algorithms=["HS256"], leeway=_LEEWAY_SECONDS)
    except jwt.InvalidTokenError as error:
        raise TokenRefusedError(f"invalid authorization token: {error}") from error
    video = claims.get("video") or {}
    return Grants(
        room_admin=bool(video.get("roomAdmin")),
        room_create=bool(video.get("roomCreate")),
        room_list=bool(video.get("roomList")),
        room=str(video.get("room", "")),
        sip_call=bool((claims.get("sip") or {}).get("call")),
    )
