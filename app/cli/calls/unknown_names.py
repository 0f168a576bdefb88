"""Says which agent or rule may have been meant, where a list is empty because of a name that no dispatch has."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from app.audit import agents_of_rules, known_agents, known_rules, unused_agents
from app.cli.framework.database import reading
from app.cli.framework.known_projects import configured_projects, projects_over_api, settings_of_projects
from app.cli.framework.terminal import note
from app.cli.remote import agents as remote_agents
from app.cli.remote import rules as remote_rules
from app.cli.remote.server import Server
from app.errors import NotAllowedError, did_you_mean, names_meant
from app.rules.fallbacks import names_of_fallbacks


def note_unknown_names(agent: str | None, rule: str | None, server: Server | None) -> None:
    """Print a note for each of the names that is unknown, with the nearest that are known."""
    with suppress(NotAllowedError):  # a user who may see calls of some projects alone
        if agent:
            _note("agent", agent, _agents(server), _agents_of_rules(server), "usher agents list")
        if rule:
            _note("rule", rule, _rules(server), (), "usher rules list")


def note_unknown_project(project: str | None, server: Server | None) -> bool:
    """Print a note, with the nearest that is known, if a project is not known here; return whether it was printed."""
    if project:
        if server is not None:
            known = projects_over_api(server)
        else:
            with reading() as connection:
                known = configured_projects(settings_of_projects(), connection)
        if known and project not in known:
            hint = names_meant(project, known) or f"; they are {', '.join(map(repr, known))}"
            note(f"No LiveKit project {project!r} is configured{hint}")
            return True
    return False


def note_unused_agents(agents: Iterable[str], server: Server | None) -> None:
    """Print a note for each of the agents that nothing names and that never joined, with the nearest that are known."""
    with suppress(NotAllowedError):
        unused, known = _unused_of_server(server) if server is not None else _unused(agents)
        for name in agents:
            if name in unused:
                hint = did_you_mean(name, known - {name}, "usher agents list")
                note(f"No rule names the agent {name!r}, and it has never joined{hint}")


def _unused(agents: Iterable[str]) -> tuple[set[str], set[str]]:
    with reading() as connection:
        asked = {one.name for one in known_agents(connection)}
        return unused_agents(connection, set(agents) - asked), asked | agents_of_rules(connection)


def _unused_of_server(server: Server) -> tuple[set[str], set[str]]:
    listed, _, _, unused = remote_agents.list_agents(server)
    return unused, {one.agent_name for one in listed} - unused | _of_rules(server)


def _of_rules(server: Server) -> set[str]:
    return {
        name
        for rule in remote_rules.list_rules(server).rules
        for name in (rule.get("agent_name"), *names_of_fallbacks(rule.get("fallbacks")))
        if name
    }


def _note(noun: str, name: str, named: Iterable[str], also: Iterable[str], otherwise: str) -> None:
    named = set(named)
    if name not in named:
        hint = "" if name in also else did_you_mean(name, {*named, *also}, otherwise)
        note(f"No dispatch names the {noun} {name!r}{hint}")


def _agents(server: Server | None) -> list[str]:
    if server is not None:
        return [one.agent_name for one in remote_agents.list_agents(server)[0]]
    with reading() as connection:
        return [one.name for one in known_agents(connection)]


def _agents_of_rules(server: Server | None) -> set[str]:
    if server is not None:
        return _of_rules(server)
    with reading() as connection:
        return agents_of_rules(connection)


def _rules(server: Server | None) -> list[str]:
    if server is not None:
        return [str(rule["name"]) for rule in remote_rules.list_rules(server).rules]
    with reading() as connection:
        return known_rules(connection)
