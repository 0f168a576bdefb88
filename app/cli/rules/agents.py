"""`usher agents`: which agents there are, how much they take, and which are out of service."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from app.agents.agent_history import AgentChange, agent_history, columns_to_resume
from app.agents.agent_limits import FOREVER
from app.agents.edit_agent import change_agent
from app.agents.stored_agents import Agent, list_agents, stored_agent
from app.audit import known_agents, latest_probes, load_of_agents, unused_agents, warnings_about_agents
from app.cli.framework.database import editor, reading, shared_clock, write
from app.cli.framework.moment import ALLOWED_AHEAD, parse_ahead, show_moment
from app.cli.framework.options import ByOption, JsonOption, LimitOption
from app.cli.framework.terminal import note, plain, say, say_json, show, stacked, table
from app.cli.remote import agents as remote
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.db.columns.queue_columns import MAX_CALLS, MAX_STARTS_PER_SECOND
from app.errors import InvalidInputError, NotFoundError, Problem
from app.flows.operations.forget_agent import forget_agent
from app.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Agents: their limits, and whether they are in service.")
_CHANGES_READ = 100
_UNUSED = "never joined, and nothing names it; usher agents forget removes it"
NameArgument = Annotated[str, typer.Argument(metavar="AGENT", help="as rules name it")]


@app.command("list")
@over_api
def list_(*, as_json: JsonOption = False) -> None:
    """List the agents that were asked for, probed, or that something is set for, with their calls and queues."""
    now = shared_clock().now()
    server = chosen_server()
    if server is not None:
        agents, calls, waiting, unused = remote.list_agents(server)
    else:
        with reading() as connection:
            (agents, unused), (calls, waiting) = _known(connection), load_of_agents(connection, now)
    if as_json:
        say_json(
            [
                {
                    **one.to_json(),
                    "in_service": not one.is_out_of_service(now),
                    "calls": calls[one.agent_name],
                    "waiting": waiting[one.agent_name],
                    "is_unused": one.agent_name in unused,
                }
                for one in agents
            ]
        )
        return
    made = table("agent", "calls", "waiting", "starts/s", "in service", "note", narrow=("calls", "waiting"))
    for one in agents:
        held = f"{calls[one.agent_name]}" + ("" if one.max_calls is None else f"/{one.max_calls}")
        made.add_row(
            plain(one.agent_name), held, str(waiting[one.agent_name]), plain(one.starts_per_second or ""),
            _service(one, now), stacked(one.note, *one.problems, _UNUSED if one.agent_name in unused else ""),
        )  # fmt: skip
    show(made)
    if not agents:
        note("no dispatch has named an agent yet, and nothing is set for one")


@app.command()
@over_api
def pause(
    agent: NameArgument,
    until: Annotated[
        str | None, typer.Argument(metavar="[UNTIL]", help=ALLOWED_AHEAD + "; default: until resumed")
    ] = None,
    *,
    substitute: Annotated[str | None, typer.Option("--substitute", metavar="AGENT", help="asked meanwhile")] = None,
    reason: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="for your colleagues")] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an agent out of service: it is not asked, but its substitute or the fallbacks of the rule are."""
    now = shared_clock().now()
    end = FOREVER if until is None else parse_ahead(until, now, "UNTIL")
    if end <= now:
        raise InvalidInputError("usage", [Problem("UNTIL", f"must be in the future; {ALLOWED_AHEAD}", until)])
    columns: dict[str, Any] = {"out_of_service_until": end}
    columns |= {} if substitute is None else {"substitute_agent_name": substitute or None}
    columns |= {} if reason is None else {"note": reason}
    _change(agent, columns, by, as_json=as_json)


@app.command()
@over_api
def resume(agent: NameArgument, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Put an agent back into service, with the substitute and note it had before; exit 1 if it is in service."""
    now = shared_clock().now()
    server = editing_server(by)
    if server is not None:
        before, changes = remote.read_agent(server, agent), remote.agent_history(server, agent, _CHANGES_READ)
    else:
        with reading() as connection:
            before, changes = stored_agent(connection, agent), agent_history(connection, agent, limit=_CHANGES_READ)
    if not before.is_out_of_service(now):
        raise NotFoundError(f"{agent} is in service")
    _change(agent, columns_to_resume(before, changes), by, as_json=as_json)


@app.command()
@over_api
def limit(
    agent: NameArgument,
    *,
    max_calls: Annotated[
        str | None, typer.Option("--max-calls", metavar="N", help="at a time; `none`: no limit")
    ] = None,
    starts: Annotated[str | None, typer.Option("--starts-per-second", metavar="N", help="`none`: no limit")] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Limit how many calls an agent takes, or remove a limit; without options show the limits."""
    given = {"max_calls": ("--max-calls", max_calls), "starts_per_second": ("--starts-per-second", starts)}
    columns = {name: _number(option, text) for name, (option, text) in given.items() if text is not None}
    _change(agent, columns, by, as_json=as_json)


@app.command()
@over_api
def forget(agent: NameArgument, *, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Delete what is set for an agent, and its probes, such as one whose name was mistyped; its history stays.

    Refused, with what names it, while a rule, another agent, a dispatch under way or USHER_CANARY_AGENTS does. Exit 1
    if there is nothing to forget.
    """
    server = editing_server(by)
    if server is not None:
        before = remote.forget_agent(server, agent)
    else:
        scheduled, now = read_settings(without_livekit=True).canary_names, shared_clock().now()
        before = write(lambda connection: forget_agent(connection, agent, editor(by), now, scheduled=scheduled))
    if as_json:
        say_json(before.to_json())
    else:
        say(f"{agent} is forgotten")


@app.command()
@over_api
def history(
    agent: Annotated[str | None, typer.Argument(metavar="[AGENT]", help="only this one")] = None,
    *,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List who changed what of agents, the latest first; exit 1 if nothing was ever changed."""
    server = chosen_server()
    if server is not None:
        found = remote.agent_history(server, agent, limit)
    else:
        with reading() as connection:
            found = agent_history(connection, agent, limit=limit)
    if as_json:
        say_json([change.to_json() for change in found])
    elif found:
        made = table("when", "who", "agent", "change", narrow=("when",))
        for change in found:
            lines = [*_lines_of(change), *([f"“{change.why}”"] if change.why else [])]
            made.add_row(
                show_moment(change.changed_at), plain(change.changed_by), plain(change.agent_name), stacked(*lines)
            )
        show(made)
    if not found:
        raise NotFoundError("nothing was ever changed of " + ("an agent" if agent is None else f"the agent {agent!r}"))


def _lines_of(change: AgentChange) -> list[str]:
    lines = ["deleted: nothing is set any more"] if change.change == "delete" else []
    lines += [f"{one.name}: {_shown(one.before)} → {_shown(one.after)}" for one in change.differences]
    return lines or [change.change]


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return "until it is put back" if value == FOREVER else show_moment(value)
    return "none" if value is None else str(value)


def _change(agent: str, columns: Mapping[str, Any], by: str | None, *, as_json: bool) -> None:
    def unit(connection: Connection) -> tuple[Agent, list[str]]:
        changed = change_agent(connection, agent, columns, editor(by))
        return changed, warnings_about_agents(connection, [agent, changed.substitute_agent_name])

    server, warnings = editing_server(by), list[str]()
    if server is not None and columns:
        after, warnings = remote.change_agent(server, agent, columns)
    elif server is not None:
        after = remote.read_agent(server, agent)
    elif columns:
        after, warnings = write(unit)
    else:
        with reading() as connection:
            after = stored_agent(connection, agent)
    if as_json:
        say_json(after.to_json())
    else:
        say(_sentence(after, shared_clock().now()))
    note(*(f"warning: {warning}" for warning in warnings))


def _sentence(agent: Agent, now: datetime) -> str:
    limits = [] if agent.max_calls is None else [f"at most {agent.max_calls} calls at a time"]
    limits += [] if agent.starts_per_second is None else [f"at most {agent.starts_per_second} starts a second"]
    text = f"{agent.agent_name}: {', '.join(limits) or 'no limits'}"
    if not agent.is_out_of_service(now):
        return f"{text}; in service"
    text += f"; out of service {_until(agent)}"
    return text + (f", {agent.substitute_agent_name} is asked" if agent.substitute_agent_name else "")


def _until(agent: Agent) -> str:
    return "until it is resumed" if agent.is_out_indefinitely else f"until {show_moment(agent.out_of_service_until)}"


def _service(agent: Agent, now: datetime) -> Any:
    if not agent.is_out_of_service(now):
        return plain("yes")
    substitute = agent.substitute_agent_name
    return stacked(f"no, {_until(agent)}", f"{substitute} is asked" if substitute else "")


def _known(connection: Connection) -> tuple[list[Agent], set[str]]:
    """Return all agents, and the names of the unused ones."""
    stored = {one.agent_name: one for one in list_agents(connection)}
    dispatched = {one.name for one in known_agents(connection)}
    names = {*stored, *dispatched, *latest_probes(connection)}
    return [stored.get(name, Agent(name)) for name in sorted(names)], unused_agents(connection, names - dispatched)


def _number(option: str, text: str) -> int | None:
    if text.strip().lower() in {"none", "null", ""}:
        return None
    least, most = (0, MAX_CALLS) if option == "--max-calls" else (1, MAX_STARTS_PER_SECOND)
    if text.strip().isascii() and text.strip().isdecimal() and len(text) <= 9 and least <= int(text) <= most:
        return int(text)
    message = f"must be a whole number from {least} to {most}, or `none` for no limit; it is {text[:50]!r}"
    raise InvalidInputError("usage", [Problem(option, message, text[:50])])
