"""`usher trigger`: a webhook made by hand, signed, and posted to a running Usher."""

from __future__ import annotations

import asyncio
import json
import shlex
import warnings
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import typer
from jwt.warnings import InsecureKeyLengthWarning

from app.cli.fabricate import fabricated_webhook
from app.cli.framework.options import JsonOption, choosing
from app.cli.framework.terminal import note, say, say_json
from app.errors import InvalidInputError, Problem, UsherError
from app.livekit.fabricated_webhook import FabricatedWebhook, sign
from app.livekit.vocabulary import EventType
from app.settings import Project, Settings, chosen_project, local_url, read_settings

_PATH = "/livekit/webhook"
_TIMEOUT_S = 30  # LiveKit gives up on a webhook after as long


class NotRunningError(UsherError):
    """No Usher answers at the address."""

    status = 503


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the webhook is posted, and as which LiveKit project it is signed."""

    url: str | None
    project: str | None
    dev: bool

    def settings(self) -> Settings:
        """Return the settings, with LiveKit's development key if that was asked for."""
        return read_settings(development=self.dev)


def destination(
    *,
    url: Annotated[str | None, typer.Option("--url", help="where Usher runs (default: USHER_HOST, USHER_PORT)")] = None,
    project: Annotated[str | None, typer.Option("--project", help="sign as this LiveKit project")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="sign with LiveKit's --dev key")] = False,
) -> Destination:
    """Return the destination that the options name."""
    return Destination(url, project, dev)


@choosing(destination)
@choosing(fabricated_webhook)
def trigger(
    webhook: FabricatedWebhook,
    target: Destination,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the body, send nothing")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make up a webhook, sign it with the configured key, post it to a running Usher and print the answer.

    The room and the participant are made up as well: an agent that a rule asks for joins a room without a caller.
    Exit 1 when Usher does not accept it.
    """
    body = webhook.body()
    if dry_run:
        say_json(json.loads(body))
        return
    status, answer = _send(body, target)
    if as_json:
        say_json({"status": status, "answer": _json(answer), "event": json.loads(body)})
    else:
        say(f"{status} {answer.strip()}")
        if webhook.event == EventType.PARTICIPANT_JOINED and status == 200:
            note(leaving_hint(webhook, target))
    if status != 200:
        raise typer.Exit(1)


def leaving_hint(webhook: FabricatedWebhook, target: Destination) -> str:
    """Return the command that makes the participant of a join leave at the same Usher, quoted for a shell."""
    names = {
        "--identity": webhook.identity,
        "--sid": webhook.sid,
        "--room": webhook.room_name,
        "--room-sid": webhook.room_sid,
        "--url": target.url,
        "--project": target.project,
    }
    # With = a value that begins with a dash is no option.
    options = [f"{option}={value}" for option, value in names.items() if value is not None]
    command = ["usher", "trigger", "participant_left", *options, *(["--dev"] if target.dev else [])]
    return f"To make it leave: {shlex.join(command)}"


def _send(body: bytes, target: Destination) -> tuple[int, str]:
    """Sign and post the body; return the status and the text of the answer."""
    settings = target.settings()
    key = project_named(settings, target.project)
    return asyncio.run(post_webhook(webhook_address(target.url, settings), body, key))


def project_named(settings: Settings, name: str | None) -> Project:
    """Return the project of that name, the only one for None; raises InvalidInputError."""
    by_name = {project.name: project for project in settings.projects}
    chosen = chosen_project(name, tuple(by_name), field="--project")
    if isinstance(chosen, Problem):
        raise InvalidInputError("usage", [chosen])
    return by_name[chosen]


def webhook_address(url: str | None, settings: Settings) -> str:
    """Return the URL to post to: `url`, with the webhook's path if it has none, else where the settings say."""
    if url is None:
        return f"{local_url(settings.host, settings.port)}{_PATH}"
    path = ""
    try:
        parts = urlsplit(url)
        path = parts.path.strip("/")
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        problem = Problem("--url", "is not a URL such as http://127.0.0.1:8080", url)
        raise InvalidInputError("usage", [problem])
    return url if path else url.rstrip("/") + _PATH


async def post_webhook(address: str, body: bytes, key: Project) -> tuple[int, str]:
    """Sign and post the body of a webhook; return the status and the text of the answer.

    Raises `NotRunningError` if there is no answer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # LiveKit's own development secret
        token = sign(body, key.api_key, key.api_secret.get_secret_value())
    headers = {"Content-Type": "application/webhook+json", "Authorization": token}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(address, data=body, headers=headers) as response,
        ):
            return response.status, await response.text(errors="replace")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        cause = str(error) or f"no answer within {_TIMEOUT_S} s"
        raise NotRunningError(f"no Usher answers at {address}: {cause}; start it with: usher serve") from error


def _json(answer: str) -> object:
    try:
        return json.loads(answer)
    except ValueError:
        return answer
