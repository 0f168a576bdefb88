"""Says which agent or rule may have been meant, where a list is empty because of a name that no dispatch has."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from app.audit import known_agents, known_rules
from app.cli.framework.database import reading
from app.cli.framework.terminal import note
from app.cli.remote import agents as remote_agents
from app.cli.remote import rules as remote_rules
from app.cli.remote.server import Server
from app.errors import NotAllowedError, did_you_mean


def note_unknown_names(agent: str | None, rule: str | None, server: Server | None) -> None:
    """Print a note for each of the names that is unknown, with the nearest that are known."""
    with suppress(NotAllowedError):  # a user who may see calls of some projects alone
        if agent:
            _note("agent", agent, _agents(server), "usher agents list")
        if rule:
            _note("rule", rule, _rules(server), "usher rules list")


def _note(noun: str, name: str, known: Iterable[str], otherwise: str) -> None:
    known = set(known)
    if name not in known:
        note(f"No dispatch names the {noun} {name!r}{did_you_mean(name, known, otherwise)}")


def _agents(server: Server | None) -> list[str]:
    if server is not None:
        return [one.agent_name for one in remote_agents.list_agents(server)[0]]
    with reading() as connection:
        return [one.name for one in known_agents(connection)]


def _rules(server: Server | None) -> list[str]:
    if server is not None:
        return [str(rule["name"]) for rule in remote_rules.list_rules(server).rules]
    with reading() as connection:
        return known_rules(connection)
