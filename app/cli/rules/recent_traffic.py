"""Reads what recent events hold, for warnings of commands that use the database."""

from __future__ import annotations

from app.audit import read_recent_traffic
from app.cli.framework.database import reading
from app.clock import SystemClock
from app.rules.warnings.unseen import Traffic
from app.settings import read_settings


def recent_traffic() -> Traffic:
    """Return what recent events hold, for warnings about rules that ask for something else."""
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        return read_recent_traffic(connection, SystemClock().now(), settings.all_redacted).traffic
