"""How long LiveKit takes: the defaults are a real server's, tests shrink them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, every one of them. Defaults: livekit-server 1.13.5, seen or read in its source."""

    activation: float = 0.08
    """From a join to ACTIVE, which is when `participant_joined` is sent."""
    join_timeout: float = 15.0
    """How long a participant may be JOINING before the server gives up (`participant_connection_aborted`)."""
    empty_timeout: float = 300.0
    """How long a room stays open that no participant has joined."""
    departure_timeout: float = 20.0
    """How long a room stays open after the last participant that is not an agent."""
    connection_timeout: float = 20.0
    """How long a participant is still listed whose process was killed."""
    name_collection: float = 5.0
    """How long the server collects the names of its workers; until it has done, ListDispatch shows none of the jobs.

    It collects at the first dispatch (an automatic one counts) after a worker has registered, and each `name_cache`.
    Seen: jobs are listed 5 s late then, and at once otherwise. In the source: CheckEnabledTimeout.
    """
    name_cache: float = 60.0
    """How long the collected names hold; 0 makes every job list late. In the source: EnabledCacheTTL."""
    unknown_room_wait: float = 3.0
    """How long a dispatch call on an unknown room takes until it answers 503."""
    termination_wait: float = 3.0
    """How long a job that was ended may stay before the server removes its agent."""
    transfer: float = 2.0
    """How long a transfer takes: until the other phone has answered or refused."""
    assignment_timeout: float = 10.0
    """How long the server waits for a worker to say yes or no."""
    worker_reconnect: float = 1.0
    """How long a worker takes to register again after the server was restarted."""
    rejoin: float = 1.0
    """How long callers take to connect again after the server was restarted."""
    node_availability: float = 5.0
    """How long a lost node still counts as available: CreateDispatch into its rooms waits for it, and fails.

    In the source: AvailableSeconds, counted from the node's last report."""
    node_rejoin: float = 6.0
    """How long callers and agents take to connect again after their node was lost, with Redis. Seen: 2.5 to 11 s."""
    node_report: float = 2.0
    """How often nodes write themselves into Redis; until then a Redis that lost its data knows none."""
    webhook_retry_first: float = 1.0
    """Wait before the second try of a webhook; each further wait is twice as long."""
    webhook_age_limit: float = 30.0
    """A webhook that waited longer in its queue is dropped."""

    def scaled(self, factor: float) -> Timing:
        """Return the same LiveKit in another tempo: 0.01 makes it a hundred times as fast.

        The age limit of webhooks stays: it is the receiver and this machine that they wait for.
        """
        scaled = {field.name: getattr(self, field.name) * factor for field in fields(self)}
        return Timing(**{**scaled, "webhook_age_limit": self.webhook_age_limit})


WEBHOOK_TRIES = 5
"""One try and four retries (go-retryablehttp's default, which LiveKit keeps)."""

WEBHOOK_QUEUE_LIMIT = 200
"""Webhooks waiting for one room; what comes beyond is dropped."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes that the server refuses to exceed (its `limit` settings)."""

    metadata: int = 512 * 1024
    attributes: int = 64 * 1024
    room_name: int = 256
    participant_name: int = 256
