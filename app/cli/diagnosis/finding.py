"""What `usher doctor` finds: one finding for each part of an installation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Whether a part works."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, what was found, and what to do if it does not work."""

    part: str
    status: Status
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(part: str, found: str) -> Finding:
    """Return that a part works."""
    return Finding(part, Status.OK, found)


def warning(part: str, found: str, remedy: str) -> Finding:
    """Return that a part works, with something to mend."""
    return Finding(part, Status.WARNING, found, remedy)


def failed(part: str, found: str, remedy: str) -> Finding:
    """Return that a part does not work."""
    return Finding(part, Status.FAILED, found, remedy)


def skipped(part: str, found: str) -> Finding:
    """Return that a part could not be tried."""
    return Finding(part, Status.SKIPPED, found)
