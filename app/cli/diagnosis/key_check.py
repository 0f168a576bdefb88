"""Asks LiveKit whether it takes a key, and what is wrong if it does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import aiohttp
import jwt

from app.clock import Clock
from app.livekit.failures.trouble import TroubleKind, refusal, seconds_ahead
from app.settings import Project

_METHOD: Final = "/twirp/livekit.RoomService/ListRooms"


class KeyVerdict(StrEnum):
    """What LiveKit makes of a URL, a key and a secret."""

    ACCEPTED = "accepted"
    UNREACHABLE = "unreachable"
    NOT_LIVEKIT = "not livekit"
    UNKNOWN_KEY = "unknown key"
    WRONG_SECRET = "wrong secret"  # noqa: S105 - a verdict
    WRONG_CLOCK = "wrong clock"
    TROUBLE = "trouble"


_REFUSALS: Final = {
    TroubleKind.UNKNOWN_KEY: KeyVerdict.UNKNOWN_KEY,
    TroubleKind.WRONG_SECRET: KeyVerdict.WRONG_SECRET,
    TroubleKind.WRONG_CLOCK: KeyVerdict.WRONG_CLOCK,
}


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """The verdict with LiveKit's own words, the time that the answer took, and how far its clock is ahead of ours.

    `ahead_s` is None where the answer has no date; it is exact to a second.
    """

    verdict: KeyVerdict
    text: str
    milliseconds: int
    ahead_s: float | None


async def check_key(project: Project, clock: Clock, timeout_s: float) -> KeyAnswer:
    """Return what LiveKit answers to a list of rooms that is asked for with the key of a project; never raises."""
    began = clock.monotonic()
    now = clock.now()
    claims = {
        "iss": project.api_key,
        "nbf": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=10)).timestamp()),
        "video": {"roomList": True},
    }
    token = jwt.encode(claims, project.api_secret.get_secret_value(), algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
            session.post(project.url.rstrip("/") + _METHOD, data=b"{}", headers=headers) as response,
        ):
            text = (await response.text(errors="replace")).strip()[:300]
            milliseconds = round((clock.monotonic() - began) * 1000)
            date = response.headers.get("Date", "")
            verdict = _verdict(response, refusal(text, date, clock.now()))
            return KeyAnswer(verdict, text, milliseconds, seconds_ahead(date, clock.now()))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        text = str(error) or f"no answer within {timeout_s:g} s"
        return KeyAnswer(KeyVerdict.UNREACHABLE, text, round((clock.monotonic() - began) * 1000), None)


def _verdict(response: aiohttp.ClientResponse, refused: TroubleKind) -> KeyVerdict:
    if response.status == 200:
        return KeyVerdict.ACCEPTED if response.content_type == "application/json" else KeyVerdict.NOT_LIVEKIT
    if response.status == 401:
        return _REFUSALS[refused]
    return KeyVerdict.NOT_LIVEKIT if response.status in {404, 405} else KeyVerdict.TROUBLE
