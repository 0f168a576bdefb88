"""The LiveKit projects that a command can know of: by the settings, by a server that swept them, over the API."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from app.accounts.roles import require_known_projects
from app.audit import sweep_heartbeats
from app.cli.framework.terminal import note
from app.errors import InvalidInputError, Problem, SettingsError
from app.settings import Settings, chosen_project, read_settings

if TYPE_CHECKING:
    from app.cli.remote.server import Server


def require_known(connection: Connection, projects: Collection[str] | None, also: Collection[str] | None = ()) -> None:
    """Raise InvalidInputError for a project that is neither in the settings, nor swept by a server, nor in `also`.

    Without settings of LiveKit, before a server has run, no project is known; a note says so.
    """
    if not projects:
        return
    known = {*configured_projects(settings_of_projects()), *(also or ())}
    known |= {one.project for one in sweep_heartbeats(connection)}
    if known:
        require_known_projects(projects, known)
    else:
        names = ", ".join(map(repr, projects))
        note(f"No LiveKit project is known here yet, so nothing says whether {names} will be one.")


def settings_of_projects() -> Settings:
    """Return the settings, without projects where those of LiveKit cannot be read, as without LIVEKIT_API_KEY."""
    try:
        return read_settings()
    except SettingsError:
        return read_settings(without_livekit=True)


def configured_projects(settings: Settings, connection: Connection | None = None) -> tuple[str, ...]:
    """Return the names of the projects in the settings; where these have none, of those that a server has swept."""
    names = tuple(project.name for project in settings.projects)
    if names or connection is None:
        return names
    return tuple(sorted(one.project for one in sweep_heartbeats(connection)))


def projects_over_api(server: Server) -> tuple[str, ...]:
    """Return the names of the projects that the token's user sees."""
    own = server.get("/me")["projects"]
    return tuple(server.get("/health")["livekit"] if own is None else own)


def project_of_file(given: str | None, known: Sequence[str]) -> str:
    """Return the project of a webhook in a file: the one given, else the only one; where none is known, `default`.

    Raises InvalidInputError for one that is not known, and where several are known and none is given.
    """
    if not known:
        return given or "default"
    chosen = chosen_project(given, known, field="--project")
    if isinstance(chosen, Problem):
        raise InvalidInputError("usage", [chosen])
    return chosen
