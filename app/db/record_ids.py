"""Times in UUIDv7 ids: their order is the order of time, so a range of time is a range of ids."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

_LAST_MILLISECOND = 2**48 - 1


def lowest_id_at(instant: datetime) -> str:
    """Return the lowest UUIDv7 of the millisecond of `instant`."""
    milliseconds = max(0, min(int(instant.timestamp() * 1000), _LAST_MILLISECOND))
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62))


def instant_of_id(identity: str) -> datetime | None:
    """Return when a UUIDv7 was made, to the millisecond; None for anything else."""
    try:
        made = UUID(identity)
    except ValueError:
        return None
    return datetime.fromtimestamp((made.int >> 80) / 1000, UTC) if made.version == 7 else None
