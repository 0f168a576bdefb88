"""Lookups over the API: list, test."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from app.cli.remote.server import Server, path_of
from app.errors import Problem
from app.rules.lookups.edit_lookup import StoredLookup
from app.rules.lookups.lookup_book import BadLookup
from app.webhook.event import Event

_BESIDE_COLUMNS: Final = {"id", "version", "created_at", "updated_at", "updated_by", "problems", "missing_variables"}


def list_lookups(server: Server) -> list[StoredLookup]:
    """Return the lookups by name, read as those that cannot be used: the server alone asks them."""
    return [_stored(one) for one in server.get("/lookups")["items"]]


def read_lookup(server: Server, name: str) -> StoredLookup:
    """Return a lookup; NotFoundError if there is none."""
    return _stored(server.get(path_of("lookups", name)))


def ask_lookup(server: Server, name: str, event: Event | str) -> Any:
    """Let the server ask a lookup about an event, or about the stored one of an id; return what came of it."""
    order = {"event_id": event} if isinstance(event, str) else {"event": event.body, "project": event.project}
    return server.send("POST", path_of("lookups", name, "test"), order)


def _stored(document: dict[str, Any]) -> StoredLookup:
    problems = (Problem(one["path"], one["message"], one["found"], one["suggestion"]) for one in document["problems"])
    return StoredLookup(
        id=document["id"],
        version=document["version"],
        row={name: value for name, value in document.items() if name not in _BESIDE_COLUMNS},
        created_at=datetime.fromisoformat(document["created_at"]),
        updated_at=datetime.fromisoformat(document["updated_at"]),
        updated_by=document["updated_by"],
        read=BadLookup(document["id"], document["name"], tuple(problems)),
    )
