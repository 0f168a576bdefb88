"""Every setting of a process, read once."""

from __future__ import annotations

from app.settings.addresses import local_url
from app.settings.database_url import database_url_problem, shown_database_url
from app.settings.model import DEVELOPMENT, Project, Settings
from app.settings.reading import SHORTEST_CANARY_INTERVAL, read_settings

__all__ = [
    "DEVELOPMENT",
    "SHORTEST_CANARY_INTERVAL",
    "Project",
    "Settings",
    "database_url_problem",
    "local_url",
    "read_settings",
    "shown_database_url",
]
