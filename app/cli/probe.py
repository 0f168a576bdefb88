"""`usher probe`: whether an agent joins, and how soon."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console

from app.agents.agent_check import check_agent_name
from app.cli.calls.unknown_names import note_unused_agents
from app.cli.framework.database import database_errors, database_url, require_database
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import plain, say_json, show
from app.cli.remote.choice import chosen_server, over_api, refuse_with_server
from app.cli.remote.server import Server, path_of, read_as
from app.cli.trigger import project_named
from app.clock import SystemClock
from app.db.engine import create_writer_engine
from app.db.types import format_instant
from app.db.writer import Writer
from app.errors import InvalidInputError
from app.flows.probes.probe import TIMEOUT_S, Prober, ProbeResult
from app.livekit.twirp import LiveKitApi
from app.logs import configure_logs
from app.metrics import Metrics
from app.settings import Project, Settings, read_settings


@over_api
def probe(
    agent: Annotated[list[str], typer.Argument(metavar="AGENT...", help="names of agents")],
    *,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.5, max=600, help="how long to wait for an agent")
    ] = TIMEOUT_S,
    project: Annotated[str | None, typer.Option("--project", help="LiveKit project to probe in")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="use LiveKit's --dev URL, key and secret")] = False,
    as_json: JsonOption = False,
) -> None:
    """Dispatch agents into throw-away rooms, time their arrival, and clean up; exit 1 if one does not join.

    The agent gets {"usher": {"probe": id}} as its metadata, so that it can recognise a probe. With --server, agents are
    probed one after the other, each for at most 30 seconds.
    """
    agents, server = list(dict.fromkeys(agent)), chosen_server()
    problems = [problem for one in agents for problem in check_agent_name(one)]
    if problems:
        raise InvalidInputError("this agent cannot be probed", problems)
    if server is not None:
        refuse_with_server(dev=dev)
        results = _probe_over_api(server, project, agents, timeout)
    else:
        results = _probe_here(project, agents, timeout, dev=dev)
    if as_json:
        say_json([_document(result) for result in results])
    else:
        for result in results:
            show(_line(result))
    note_unused_agents([result.agent_name for result in results if not result.arrived], server)
    if not all(result.arrived for result in results):
        raise typer.Exit(1)


def _probe_over_api(server: Server, project: str | None, agents: list[str], timeout_s: float) -> list[ProbeResult]:
    """Return the results of probes one after the other: the server makes few at once."""
    order = {"project": project, "timeout_s": timeout_s}
    with Console(stderr=True).status(f"waiting for {', '.join(agents)}"):
        return [read_as(ProbeResult, server.send("POST", path_of("agents", one, "probe"), order)) for one in agents]


def _probe_here(project: str | None, agents: list[str], timeout_s: float, *, dev: bool) -> list[ProbeResult]:
    settings = read_settings(development=dev)
    wanted = project_named(settings, project)
    require_database(database_url(settings))
    configure_logs("console", quiet=True)
    return asyncio.run(_probe(settings, wanted, agents, timeout_s))


async def _probe(settings: Settings, project: Project, agents: list[str], timeout_s: float) -> list[ProbeResult]:
    url = database_url(settings)
    writer = Writer(create_writer_engine(url))
    metrics = Metrics()
    clock = SystemClock()
    client = LiveKitApi(project, settings.request_timeout, metrics, clock)
    try:
        with database_errors(url), Console(stderr=True).status(f"waiting for {', '.join(agents)}"):
            prober = Prober(project.name, client, writer, clock, metrics)
            return list(await asyncio.gather(*(prober.probe(agent, timeout_s) for agent in agents)))
    finally:
        await client.close()
        await writer.close()


def _line(result: ProbeResult) -> Any:
    if not result.arrived:
        return plain(f"{result.agent_name} did not join: ", "bold red").append_text(plain(result.detail))
    text = plain(f"{result.agent_name} joined", "bold green").append(f" after {result.milliseconds_to_agent} ms")
    return text.append_text(plain(f"; {result.detail}", "yellow")) if result.detail else text


def _document(result: ProbeResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "project": result.project,
        "agent_name": result.agent_name,
        "started_at": format_instant(result.started_at),
        "arrived": result.arrived,
        "milliseconds_to_agent": result.milliseconds_to_agent,
        "detail": result.detail,
    }
