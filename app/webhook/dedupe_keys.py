"""Keys by which an event is stored once: `events.dedupe_key`, unique over all projects."""

from __future__ import annotations


def event_key(project: str, *parts: str) -> str:
    """Return the key of an event of `project`: no other project's event can have it, whatever ids that one sends.

    The project ends with the first slash. Only the last of `parts` may hold slashes.
    """
    return "/".join((project if project.isalnum() else quoted(project), *parts))


def join_key(project: str, participant_sid: str) -> str:
    """Return the key of a join: the same for its webhook and for the sweep that finds the participant."""
    return event_key(project, "join", participant_sid)


def quoted(name: str) -> str:
    """Return `name` without slashes: `%` and `/` as in URLs, so that two names never become one."""
    return name.replace("%", "%25").replace("/", "%2F")
