"""How LiveKit delivers webhooks, and what that says about one that has come.

Read in livekit/protocol, `webhook/resource_url_notifier.go`: one queue per room name, strictly in order, in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from app.livekit.protojson import as_number

RETRY_DELAYS_S: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds between LiveKit's tries to post one webhook; after the last the webhook is lost."""

SIGNATURE_LIFE_S: Final = 300
"""Seconds for which the token of a webhook is valid."""

QUEUE_MAX_AGE_S: Final = 30.0
"""Seconds after which LiveKit drops a webhook that is still queued."""

LATE_S: Final = 5.0
"""A webhook signed longer ago than this, in seconds, is a retry: LiveKit signs once, before the first try.

More than clocks and a slow network make up; less than the third try takes.
"""

HELD_UP_S: Final = sum(RETRY_DELAYS_S)
"""A webhook made longer ago than this, in seconds, waited in the queue while another one was retried."""

DROPPED_S: Final = 4 * QUEUE_MAX_AGE_S
"""An age above this, in seconds, is a difference between clocks: LiveKit would have dropped the webhook long before."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The project whose key signed a webhook, and when, in seconds since the epoch; 0 if the token does not say.

    It is here, apart from the verifier, because what only names it must not wait a tenth of a second for the SDK.
    """

    project: str
    signed_at: float


def is_delayed(signed_at: float, created_at: Any, now: float) -> bool:
    """Return whether a webhook is a retry, or waited behind one. Times in seconds since the epoch.

    `created_at` is the `createdAt` of its body, as it was sent.
    """
    created_at = as_number(created_at)
    is_retry = now - DROPPED_S < signed_at <= now - LATE_S
    # Compared, not subtracted: a number in a body may be beyond every float.
    return is_retry or (isinstance(created_at, int | float) and now - DROPPED_S < created_at <= now - HELD_UP_S)
