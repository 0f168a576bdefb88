"""What an operation on dispatches did, and reading the dispatches that it names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.errors import NotFoundError
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import read_locked
from app.settings import Settings
from app.translation import translatable


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What an operation did, by dispatch id."""

    done: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    """The new dispatches, by the id of the one that each replaces."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why nothing was done."""
    left_over: dict[str, str] = field(default_factory=dict)
    """What stays at LiveKit of a dispatch that was cancelled, since its project is not configured."""
    sent: list[str] = field(default_factory=list)
    """Of the dispatches that were cancelled, those to be deleted at LiveKit, too."""


def why_not_served(project: str, settings: Settings) -> str | None:
    """Return why nothing can be sent in a LiveKit project: the settings have others, and not this one; else None."""
    configured = [one.name for one in settings.projects]
    if not configured or project in configured:
        return None
    return translatable(
        "project %(project)s is not configured here: add it to USHER_PROJECTS_FILE again and restart Usher",
        project=repr(project),
    )


def read_all(connection: Connection, ids: Collection[str]) -> dict[str, Dispatch]:
    """Return these dispatches, locked; raises `NotFoundError` if one of them does not exist."""
    current = read_locked(connection, ids)
    missing = [one for one in ids if one not in current]
    if missing:
        raise NotFoundError(translatable("no dispatch has the id %(names)s", names=", ".join(map(repr, missing))))
    return current
