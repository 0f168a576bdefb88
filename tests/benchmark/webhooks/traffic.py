"""Webhooks as LiveKit sends them: the recorded bodies, made distinct and signed beforehand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

DEPARTMENTS = ("support", "sales", "billing", "repairs")
LANGUAGES = ("es", "ca", "en", "fr")
TRUNKS = ("+15557654321", "+15557654322", "+15557654323", "+15557654324")
RULES = [
    (
        f"{department}-{language}",
        {"participant": {"metadata": {"department": [department], "language": [language]}}},
        f"{department}-{language}-agent",
    )
    for department in DEPARTMENTS
    for language in LANGUAGES
] + [
    (
        f"trunk-{number}",
        {"participant": {"kind": ["SIP"], "attributes": {"sip.trunkPhoneNumber": [trunk]}}},
        f"phone-{number}-agent",
    )
    for number, trunk in enumerate(TRUNKS)
]
"""Twenty rules: name, pattern, agent. Each caller of `calls` matches exactly one."""

_CODECS = [
    {"mime": mime}
    for mime in (
        "audio/PCMU",
        "audio/PCMA",
        "audio/opus",
        "audio/red",
        "video/VP8",
        "video/H264",
        "video/VP9",
        "video/AV1",
        "video/H265",
        "video/rtx",
    )
]


class Kind(StrEnum):
    """What is sent of each call."""

    JOINS = "joins"
    """The caller's join only: every webhook makes a dispatch."""
    CALLS = "calls"
    """All webhooks of a call, in order: eight, of which one makes a dispatch."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as LiveKit does: HS256 over issuer, times and the SHA-256 of the body."""

    key: str
    secret: str

    def token(self, body: bytes) -> str:
        now = int(time.time())
        claims = {
            "iss": self.key,
            "exp": now + 300,
            "nbf": now,
            "iat": now,
            "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        }
        content = _HEADER + b"." + encoded(json.dumps(claims, separators=(",", ":")).encode())
        signature = hmac.digest(self.secret.encode(), content, "sha256")
        return (content + b"." + encoded(signature)).decode()


def encoded(content: bytes) -> bytes:
    """Return `content` as a part of a token."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


_HEADER = encoded(b'{"alg":"HS256","typ":"JWT"}')


def room_of(mark: str, number: int) -> str:
    """Return the room name of call `number` of the run `mark`."""
    return f"call-{mark}-{number}"


def bodies(kind: Kind, mark: str, number: int) -> Iterator[bytes]:
    """Yield the webhook bodies of one call, after those in `recorded/`; three of four callers come by the web."""
    joined_at = int(time.time() * 1000)
    call = f"{mark}{number:07d}"
    room = {
        "sid": f"RM_{call}",
        "name": room_of(mark, number),
        "emptyTimeout": 300,
        "departureTimeout": 20,
        "creationTime": str(joined_at // 1000),
        "creationTimeMs": str(joined_at),
        "turnPassword": "f137tNuifmfTSN2bQX8h8cjLEDoXt7DYMKRQhieP306C",
        "enabledCodecs": _CODECS,
    }
    caller, agent_name = _caller(call, number, joined_at)
    if kind is Kind.JOINS:
        yield _body("participant_joined", f"{call}1", room, participant=caller)
        return
    agent = {
        "sid": f"PA_{call}A",
        "identity": f"agent-AJ_{call}",
        "state": "ACTIVE",
        "joinedAt": str(joined_at // 1000),
        "joinedAtMs": str(joined_at + 300),
        "version": 2,
        "permission": {"canSubscribe": True, "canPublish": True, "canPublishData": True, "agent": True},
        "kind": "AGENT",
        "attributes": {"lk.agent_name": agent_name, "lk.agent.name": agent_name},
    }
    short_room = {"sid": room["sid"], "name": room["name"]}
    yield _body("room_started", f"{call}0", room)
    yield _body("participant_joined", f"{call}1", room, participant=caller)
    yield _body("track_published", f"{call}2", short_room, participant=_short(caller), track=_track(call, "C"))
    yield _body("participant_joined", f"{call}3", room, participant=agent)
    yield _body("track_published", f"{call}4", short_room, participant=_short(agent), track=_track(call, "A"))
    left = {"state": "DISCONNECTED", "disconnectReason": "CLIENT_INITIATED"}
    yield _body("participant_left", f"{call}5", room, participant={**caller, **left})
    yield _body("participant_left", f"{call}6", room, participant={**agent, **left, "disconnectReason": "ROOM_CLOSED"})
    yield _body("room_finished", f"{call}7", room)


def _caller(call: str, number: int, joined_at: int) -> tuple[dict[str, object], str]:
    participant: dict[str, object] = {
        "sid": f"PA_{call}C",
        "identity": f"caller-{call}",
        "state": "ACTIVE",
        "joinedAt": str(joined_at // 1000),
        "joinedAtMs": str(joined_at),
        "name": f"Caller {number}",
        "version": 2,
        "permission": {"canSubscribe": True, "canPublish": True, "canPublishData": True},
    }
    if number % 4 == 3:
        place = number // 4 % len(TRUNKS)
        phone = f"+34600{number % 1_000_000:06d}"
        participant |= {
            "identity": f"sip_{phone}_{call}",
            "kind": "SIP",
            "attributes": {
                "sip.callID": f"SCL_{call}",
                "sip.callIDFull": "1-12916@127.0.0.1",
                "sip.callStatus": "ringing",
                "sip.hostname": "127.0.0.1",
                "sip.phoneNumber": phone,
                "sip.ruleID": "SDR_8XAAgaFPWQnZ",
                "sip.trunkID": "ST_r7E7RZNfyyjA",
                "sip.trunkPhoneNumber": TRUNKS[place],
            },
        }
        return participant, f"phone-{place}-agent"
    department, language = DEPARTMENTS[number % 4], LANGUAGES[number // 4 % 4]
    participant |= {
        "metadata": json.dumps({"language": language, "department": department}),
        "attributes": {"plan": "gold"},
        "clientProtocol": 2,
        "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"],
    }
    return participant, f"{department}-{language}-agent"


def _short(participant: dict[str, object]) -> dict[str, object]:
    return {"sid": participant["sid"], "identity": participant["identity"]}


def _track(call: str, whose: str) -> dict[str, object]:
    codec = {"mimeType": "audio/opus", "mid": "0", "cid": "audio", "videoLayerMode": "ONE_SPATIAL_LAYER_PER_STREAM"}
    return {
        "sid": f"TR_{call}{whose}",
        "name": "microphone",
        "source": "MICROPHONE",
        "mimeType": "audio/opus",
        "mid": "0",
        "codecs": [codec],
        "stream": "camera",
        "version": {"unixMicro": "1795366441115713"},
        "backupCodecPolicy": "SIMULCAST",
    }


def _body(event: str, number: str, room: dict[str, object], **parts: dict[str, object]) -> bytes:
    content = {"event": event, "room": room, **parts, "id": f"EV_{number}", "createdAt": str(int(time.time()))}
    return json.dumps(content, separators=(", ", ":")).encode()
