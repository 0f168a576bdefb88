"""The columns of `lookups` that people write, and their bounds."""

from __future__ import annotations

from typing import Final

LOOKUP_COLUMNS: Final = ("name", "enabled", "pattern", "url", "headers", "timeout_ms", "cache_s", "on_error")
"""What people write, in the order of forms and answers."""
LOOKUP_STAMPS: Final = ("created_at", "updated_at", "updated_by")
"""Written by the database."""
LOOKUP_DOCUMENTS: Final = ("pattern", "headers", "on_error")
"""The columns that hold JSON."""

MAX_TIMEOUT_MS: Final = 5000
"""Longest time that a caller waits for an answer: it hears the phone ring, or silence."""
MAX_CACHE_S: Final = 86_400
"""Longest time that an answer is kept in memory."""
