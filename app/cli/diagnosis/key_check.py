"""Asks LiveKit whether it takes a key, and what is wrong if it does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import aiohttp
import jwt

from app.clock import Clock
from app.settings import Project

LEEWAY_S: Final = 60
"""Seconds by which LiveKit lets clocks differ before it refuses a token."""
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
            ahead_s = _ahead(response.headers.get("Date"), clock)
            return KeyAnswer(_verdict(response, text, ahead_s), text, milliseconds, ahead_s)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        text = str(error) or f"no answer within {timeout_s:g} s"
        return KeyAnswer(KeyVerdict.UNREACHABLE, text, round((clock.monotonic() - began) * 1000), None)


def _verdict(response: aiohttp.ClientResponse, text: str, ahead_s: float | None) -> KeyVerdict:
    if response.status == 200:
        return KeyVerdict.ACCEPTED if response.content_type == "application/json" else KeyVerdict.NOT_LIVEKIT
    if response.status == 401:
        if "api key" in text.lower():
            return KeyVerdict.UNKNOWN_KEY
        if ahead_s is not None and abs(ahead_s) > LEEWAY_S:
            return KeyVerdict.WRONG_CLOCK
        return KeyVerdict.WRONG_SECRET
    return KeyVerdict.NOT_LIVEKIT if response.status in {404, 405} else KeyVerdict.TROUBLE


def _ahead(date: str | None, clock: Clock) -> float | None:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    # The header has whole seconds: what it says began up to a second ago.
    return round((theirs - clock.now() + timedelta(seconds=0.5)).total_seconds(), 1)
