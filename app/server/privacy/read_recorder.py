"""Records which users read personal data, before they get it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from app.accounts.reads import record_read

if TYPE_CHECKING:
    from app.server.request_context import RequestContext

_LISTS_AGAIN_AFTER: Final = timedelta(minutes=10)
"""A page that refreshes itself is recorded this often."""
_SUBJECTS: Final = ("of", "person", "identity", "phone_number", "q", "search", "room", "from")
"""Fields of queries, bodies and forms that name the person or record asked for, the most exact first."""


class ReadRecorder:
    """Writes a row for each read, if the setting asks for it; a database that cannot take it refuses the read."""

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._lists: dict[tuple[str, str, str], datetime] = {}

    async def note(self, user: str, channel: str, operation: str, subject: str) -> None:
        """Record that a user reads what `operation` shows; `subject` is empty for a whole list."""
        if self._context.flow_context.settings.reads_retention_days <= 0:
            return
        now = self._context.now
        if not subject:
            key = (user, channel, operation)
            last = self._lists.get(key)
            if last is not None and now - last < _LISTS_AGAIN_AFTER:
                return
            self._lists[key] = now
        record = partial(record_read, now=now, user=user, channel=channel, operation=operation, subject=subject)
        await self._context.write(record)


def subject_of(path: Any, *fields: Any) -> str:
    """Return the person or record asked for: parameters of the path, else the first field that names it."""
    named = " ".join(str(value) for value in path.values())
    if named:
        return named
    for name in _SUBJECTS:
        for source in fields:
            value = source.get(name) if isinstance(source, dict) else getattr(source, name, None)
            if isinstance(value, str) and value.strip():
                return value.strip()
    return ""
