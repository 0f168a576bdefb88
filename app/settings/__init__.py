"""Every setting of a process, read once."""

from __future__ import annotations

from app.settings.addresses import accepted_hosts, host_name, is_loopback, local_url
from app.settings.database_url import database_url_problem, shown_database_url
from app.settings.model import DEVELOPMENT, Project, Settings
from app.settings.reading import SHORTEST_CANARY_INTERVAL, process_environment, read_settings
from app.settings.weak_secrets import SHORTEST_SECRET, is_weak, weak_secrets

__all__ = [
    "DEVELOPMENT",
    "SHORTEST_CANARY_INTERVAL",
    "SHORTEST_SECRET",
    "Project",
    "Settings",
    "accepted_hosts",
    "database_url_problem",
    "host_name",
    "is_loopback",
    "is_weak",
    "local_url",
    "process_environment",
    "read_settings",
    "shown_database_url",
    "weak_secrets",
]
