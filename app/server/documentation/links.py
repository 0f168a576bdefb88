"""Addresses of documentation pages, for links in console pages and messages."""

from __future__ import annotations

from typing import Final

DOCS: Final = "/docs/"

CONSOLE_HELP: Final = {
    "now": ("runbook", "Runbook"),
    "calls": ("finding-calls", "Find calls"),
    "rules": ("rule-conditions", "The columns of a rule"),
    "agents": ("maintenance", "Maintenance of agents"),
    "trends": ("trends", "Trends"),
    "incidents": ("incidents", "Incidents"),
    "simulate": ("rollout", "A rollout to some of the callers"),
    "users": ("access", "Users and access"),
}
"""The page that helps with each part of the console, by the part's key in the navigation, and the text of the link."""

ERROR_HELP: Final = {
    400: ("troubleshooting", "the-console-says-that-this-host-is-not-served"),
    403: ("reference/permissions", ""),
    404: ("troubleshooting", "the-caller-is-not-in-the-list-of-calls"),
    429: ("access", "logging-in"),
    503: ("operations", "when-the-database-is-in-trouble"),
}
"""The page and the heading about errors of a status."""

CALL_HELP: Final = {
    "no_match": ("troubleshooting", "no-rule-matched"),
    "no_show": ("troubleshooting", "no-agent-joined"),
    "failed": ("troubleshooting", "no-agent-joined"),
    "waiting": ("troubleshooting", "no-agent-joined"),
}
"""The page and the heading about calls in a state."""


def docs_url(page: str, anchor: str = "") -> str:
    """Return the address of a page, or of a heading of it; a test follows each address that the code names."""
    return f"{DOCS}{page}#{anchor}" if anchor else f"{DOCS}{page}"
