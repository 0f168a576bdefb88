"""What keeps a process from calling LiveKit, from the outcomes of its latest calls."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import aiohttp

LEEWAY_S: Final = 60
"""Seconds by which LiveKit lets clocks differ before it refuses a token."""
REFUSALS: Final = frozenset({"unauthenticated", "permission_denied"})
"""Codes with which LiveKit refuses a key, a secret, or a token that is not valid now."""


class TroubleKind(StrEnum):
    """Why LiveKit cannot be called."""

    UNKNOWN_KEY = "unknown_key"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a kind
    WRONG_CLOCK = "wrong_clock"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    ERROR = "error"  # it answers, with an error of its own

    @property
    def is_refusal(self) -> bool:
        return self in {TroubleKind.UNKNOWN_KEY, TroubleKind.WRONG_SECRET, TroubleKind.WRONG_CLOCK}

    @property
    def remedy(self) -> str:
        """What to do, in one sentence."""
        return _REMEDIES[self]


_REMEDIES: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.UNKNOWN_KEY: "Set LIVEKIT_API_KEY to a key of this LiveKit server or project.",
    TroubleKind.WRONG_SECRET: "Set LIVEKIT_API_SECRET to the secret of LIVEKIT_API_KEY.",
    TroubleKind.WRONG_CLOCK: "Synchronise LiveKit's clock, the database's and this machine's with a time server.",
    TroubleKind.UNREACHABLE: "Check that LiveKit runs and that LIVEKIT_URL is its address.",
    TroubleKind.TLS: "Check the certificate of LiveKit, and that LIVEKIT_URL has the name that it is for.",
    TroubleKind.ERROR: "Look at LiveKit's log: it answers with an error of its own.",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why LiveKit cannot be called, in its own words where it answered, and how many calls in a row have failed."""

    kind: TroubleKind
    text: str
    failures: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Trouble:
        """Return what `to_json` made; a kind that is not known, of a newer version, is an `ERROR`."""
        kind = document["kind"]
        known = TroubleKind(kind) if kind in set(TroubleKind) else TroubleKind.ERROR
        return cls(known, str(document["text"]), int(document["failures"]))


def refusal(text: str, date: str, now: datetime) -> TroubleKind:
    """Return what LiveKit refuses in a token, from the text and the `Date` header of its answer."""
    if "api key" in text.lower():
        return TroubleKind.UNKNOWN_KEY
    ahead_s = seconds_ahead(date, now)
    return TroubleKind.WRONG_SECRET if ahead_s is None or abs(ahead_s) <= LEEWAY_S else TroubleKind.WRONG_CLOCK


def seconds_ahead(date: str, now: datetime) -> float | None:
    """Return by how much LiveKit's clock is ahead of `now`, to a second; None if the header cannot be read."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    # The header has whole seconds: what it shows began up to a second ago.
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=now.tzinfo)
    return round((theirs - now + timedelta(seconds=0.5)).total_seconds(), 1)


def failure_kind(error: BaseException) -> TroubleKind:
    """Return what an error of the connection means, or one of reading the answer."""
    if not isinstance(error, aiohttp.ClientError | OSError):
        return TroubleKind.ERROR  # of protobuf, say: the answer is that of another server, or of a proxy
    is_tls = isinstance(error, ssl.SSLError | aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError)
    return TroubleKind.TLS if is_tls else TroubleKind.UNREACHABLE
