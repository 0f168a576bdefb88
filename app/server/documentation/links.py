"""Addresses of documentation pages, for links in console pages and messages."""

from __future__ import annotations

from typing import Final

DOCS: Final = "/docs/"

CONSOLE_HELP: Final = {
    "rules": ("rule-conditions", "The columns of a rule"),
    "users": ("access", "Users and access"),
}
"""The page that helps with each part of the console, by the part's key in the navigation, and the text of the link."""


def docs_url(page: str, anchor: str = "") -> str:
    """Return the address of a page, or of a heading of it; a test follows each address that the code names."""
    return f"{DOCS}{page}#{anchor}" if anchor else f"{DOCS}{page}"
