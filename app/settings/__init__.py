"""Every setting of a process, read once."""

from __future__ import annotations

from app.settings.addresses import accepted_hosts, host_name, is_loopback, local_url
from app.settings.database_url import database_url_problem, shown_database_url
from app.settings.login_provider import CALLBACK_PATH, LoginProvider, endpoint_problem, login_provider
from app.settings.model import DEVELOPMENT, Project, Settings
from app.settings.project_choice import chosen_project
from app.settings.reading import SHORTEST_CANARY_INTERVAL, process_environment, read_settings
from app.settings.weak_secrets import SHORTEST_SECRET, is_weak, weak_secrets

__all__ = [
    "CALLBACK_PATH",
    "DEVELOPMENT",
    "SHORTEST_CANARY_INTERVAL",
    "SHORTEST_SECRET",
    "LoginProvider",
    "Project",
    "Settings",
    "accepted_hosts",
    "chosen_project",
    "database_url_problem",
    "endpoint_problem",
    "host_name",
    "is_loopback",
    "is_weak",
    "local_url",
    "login_provider",
    "process_environment",
    "read_settings",
    "shown_database_url",
    "weak_secrets",
]
