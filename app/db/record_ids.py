"""Times in ids: their order is the order of time, so a range of time is a range of ids.

An id of `app.clock.new_id` is the milliseconds since 1970 as `0199c2a4-5b1e`, then nine characters of base 32. Earlier
releases made UUIDv7, such as `0199c2a4-5b1e-7000-8000-000000000000`. Both begin with the same text in the same
millisecond, so ids of both forms sort by time among each other, also while replicas of both releases make them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLISECOND: Final = 2**48 - 1
_LAST_WITH_A_DATE: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
ID_PATTERN: Final = r"([0-9a-f]{8})-([0-9a-f]{4})(?:[0-9a-v]{9}|-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})?"
"""An id, or what `lowest_id_at` returns."""
_FORM: Final = re.compile(ID_PATTERN, re.ASCII)


def lowest_id_at(instant: datetime) -> str:
    """Return what sorts before all ids of the millisecond of `instant`, and after those of the one before."""
    milliseconds = (instant - _EPOCH) // timedelta(milliseconds=1)  # exact, as `timestamp` is not
    when = f"{max(0, min(milliseconds, _LAST_MILLISECOND)):012x}"
    return f"{when[:8]}-{when[8:]}"


def instant_of_id(identity: str) -> datetime | None:
    """Return when an id was made, to the millisecond, also for what `lowest_id_at` returns; None for anything else."""
    made = _FORM.fullmatch(identity)
    if made is None:
        return None
    milliseconds = int(made[1] + made[2], 16)
    return _EPOCH + timedelta(milliseconds=milliseconds) if milliseconds <= _LAST_WITH_A_DATE else None
