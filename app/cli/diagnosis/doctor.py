"""`usher doctor`: tries every part of an installation, and says how to mend what does not work."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from app.cli.diagnosis.finding import Finding, Status, failed, ok, skipped
from app.cli.diagnosis.livekit_checks import livekit_findings, webhook_finding
from app.cli.diagnosis.login_checks import login_findings
from app.cli.diagnosis.usher_checks import database_findings, public_url_finding, service_findings
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import plain, say_json, show
from app.clock import SystemClock
from app.errors import SettingsError
from app.logs import configure_logs
from app.settings import Settings, read_settings

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red", Status.SKIPPED: "dim"}


_Dev = Annotated[bool, typer.Option("--dev", help="use LiveKit's --dev URL, key and secret")]


def doctor(*, dev: _Dev = False, as_json: JsonOption = False) -> None:
    """Try every part of an installation, and say how to mend what does not work; exit 1 if a part does not.

    Run it where `usher serve` runs, with the same settings. It makes a room at LiveKit for a moment, whose
    webhooks are on record as ignored, and posts a webhook of an unknown type to Usher.
    """
    configure_logs("console", quiet=True)
    with Console(stderr=True).status("trying"):
        findings = _findings(dev=dev)
    if as_json:
        say_json([one.to_json() for one in findings])
    else:
        width = max(len(one.part) for one in findings)
        for one in findings:
            line = plain(f"{one.status:<8}", _STYLES[one.status])
            show(line.append_text(plain(f"{one.part:<{width}}  {one.found}")))
            if one.remedy:
                show(plain(f"{'':<8}{'':<{width}}  {one.remedy}", "dim"))
    if any(one.status is Status.FAILED for one in findings):
        raise typer.Exit(1)


def _findings(*, dev: bool) -> list[Finding]:
    try:
        settings = read_settings(development=dev)
    except SettingsError as error:
        findings = [failed(problem.path, problem.message, "see .env.example") for problem in error.problems]
        return [*findings, *_without_livekit()]
    return [ok("settings", "can be used"), *database_findings(settings), *asyncio.run(_online(settings))]


def _without_livekit() -> list[Finding]:
    try:
        return database_findings(read_settings(without_livekit=True))
    except SettingsError:
        return [skipped("database", "not tried: the settings cannot be used")]


async def _online(settings: Settings) -> list[Finding]:
    clock = SystemClock()
    findings: list[Finding] = []
    for project in settings.projects:
        findings += await livekit_findings(project, settings, clock)
    service = await service_findings(settings)
    for project in settings.projects:
        findings.append(await webhook_finding(project, settings, clock))
    return [*findings, *service, await public_url_finding(settings), *await login_findings(settings)]
