"""The SDK's services for rooms, dispatches and phone calls, signing for a fifth of the SDK's cost (30, not 150 µs).

Each call needs a token of its own, because a token names its room. The SDK's `AccessToken.to_jwt` copies every grant
to leave out the unset ones, and reads the system's clock. If a future SDK signs by another method than `_auth_header`,
that one is used: slower, and still right; `tests/contract/libraries` notices it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

import aiohttp
import jwt
from livekit.api import SIPGrants, VideoGrants
from livekit.api.access_token import snake_to_lower_camel
from livekit.api.agent_dispatch_service import AgentDispatchService
from livekit.api.room_service import RoomService
from livekit.api.sip_service import SipService

from app.clock import Clock
from app.livekit.failures.error_answers import ReadingSession
from app.settings import Project

TOKEN_LIFE_S: Final = 600
"""Seconds for which a token is valid: as far as LiveKit's clock may be ahead of ours. The SDK's are valid for 6 h."""

_CLAIMS = {field.name: snake_to_lower_camel(field.name) for field in fields(VideoGrants)}


class _SigningService:
    """Overrides how a service of the SDK signs; its own retry is off, since it repeats a POST that took effect."""

    def __init__(self, session: aiohttp.ClientSession, project: Project, clock: Clock) -> None:
        self._key = project.api_key
        self._secret = project.api_secret.get_secret_value()
        self._clock = clock
        reading = ReadingSession(session)
        super().__init__(reading, project.url, self._key, self._secret, failover=False)  # type: ignore[call-arg]

    def _auth_header(self, grants: VideoGrants | None, sip: SIPGrants | None = None) -> dict[str, str]:
        if grants is None:
            raise ValueError("each call is for one room, and so needs a grant that names it")
        granted = {_CLAIMS[name]: value for name, value in vars(grants).items() if value is not None}
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {"iss": self._key, "nbf": now, "exp": now + TOKEN_LIFE_S, "video": granted}
        if sip is not None:
            claims["sip"] = {"admin": sip.admin, "call": sip.call}
        return {"authorization": f"Bearer {jwt.encode(claims, self._secret, algorithm='HS256')}"}


class Rooms(_SigningService, RoomService):
    """`RoomService` of the SDK."""


class Phones(_SigningService, SipService):
    """`SipService` of the SDK."""


class AgentDispatches(_SigningService, AgentDispatchService):
    """`AgentDispatchService` of the SDK."""
