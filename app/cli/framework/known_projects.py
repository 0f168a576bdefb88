"""The LiveKit projects that a command without the server's settings can know of."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from app.accounts.roles import require_known_projects
from app.audit import sweep_heartbeats
from app.cli.framework.terminal import note
from app.errors import SettingsError
from app.settings import read_settings


def require_known(connection: Connection, projects: Collection[str] | None, also: Collection[str] | None = ()) -> None:
    """Raise InvalidInputError for a project that is neither in the settings, nor swept by a server, nor in `also`.

    Without settings of LiveKit, before a server has run, no project is known; a note says so.
    """
    if not projects:
        return
    try:
        known = {project.name for project in read_settings().projects}
    except SettingsError:  # such as without LIVEKIT_API_KEY, which this command does not need
        known = set()
    known |= {one.project for one in sweep_heartbeats(connection)} | set(also or ())
    if known:
        require_known_projects(projects, known)
    else:
        names = ", ".join(map(repr, projects))
        note(f"No LiveKit project is known here yet, so nothing says whether {names} will be one.")
