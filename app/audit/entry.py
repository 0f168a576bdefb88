"""One line of the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What changed state, from what, to what, when, why, and by whom."""

    entity: str
    entity_id: str
    from_state: str | None
    to_state: str
    reason: str
    changed_at: datetime
    changed_by: str = "usher"
