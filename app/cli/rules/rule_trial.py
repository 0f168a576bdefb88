"""`usher rules test`: one rule against one event, and the metadata that its agent would get."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from app.cli.framework.database import reading
from app.cli.framework.known_projects import (
    configured_projects,
    project_of_file,
    projects_over_api,
    settings_of_projects,
)
from app.cli.framework.options import FileProjectOption, JsonOption
from app.cli.framework.terminal import plain, say_json, show
from app.cli.remote.calls import read_event
from app.cli.remote.choice import chosen_server, over_api
from app.cli.remote.rules import list_rules
from app.cli.rules.rules_file import find_rule, read_file
from app.clock import SystemClock, new_id
from app.db.columns.action_types import RuleAction
from app.db.types import EventSource
from app.errors import InvalidInputError, Problem, UnreadableWebhookError
from app.flows.rule_trial import Trial, require_good_rule, try_rule
from app.livekit.participant.phone import use_phone_region
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.rules.columns import WRITABLE
from app.rules.editing.stored_rules import read_rules
from app.settings import Settings
from app.strict_json import JsonError, parse_storable_json
from app.webhook.event import Event
from app.webhook.event_store import from_row, stored_event
from app.webhook.parse import build_event


@over_api
def try_(
    name: Annotated[str, typer.Argument(metavar="RULE", help="the name of a rule, or its id")],
    *,
    event: Annotated[
        str,
        typer.Option("--event", metavar="FILE", help="a webhook body in JSON, - for standard input; or an event id"),
    ],
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="read the rules from this file instead of the database")
    ] = None,
    project: FileProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test whether a rule serves an event, and show why not or the agent's metadata; exit 1 if it does not."""
    settings = settings_of_projects()
    use_phone_region(settings.phone_region)
    server = chosen_server()
    if server is not None:
        tested = event_in_file(event, project, settings, lambda: projects_over_api(server))
        tested = tested or from_row(asdict(read_event(server, event)))
        rules = list_rules(server).rules if file is None else _rules_in(file)
        draft, book = find_rule(rules, name), RuleBook.build(rules, 0)
    elif file is None:
        with reading(settings) as connection:
            tested = event_in_file(event, project, settings, lambda: configured_projects(settings, connection))
            draft = find_rule(read_rules(connection), name)
            book = read_book(connection)
            tested = tested or stored_event(connection, event)
    else:
        tested = event_in_file(event, project, settings, lambda: configured_projects(settings))
        rules = _rules_in(file)
        draft = find_rule(rules, name)
        book = RuleBook.build(rules, 0)
        if tested is None:
            with reading(settings) as connection:
                tested = stored_event(connection, event)
    rule = require_good_rule({column: draft[column] for column in WRITABLE})
    most = settings.metadata_max_bytes
    (trial,) = try_rule(book, rule, [tested], replaces=draft["id"], metadata_max_bytes=most)
    if as_json:
        say_json({"rule": draft["name"], "enabled": bool(draft["enabled"]), **trial.to_json()})
    else:
        show(*_view(draft, trial))
    if not trial.served or trial.failure:
        raise typer.Exit(1)


def _rules_in(file: str) -> list[dict[str, Any]]:
    return [{**rule, "id": number} for number, rule in enumerate(read_file(file).rules, start=1)]


def _view(rule: dict[str, Any], trial: Trial) -> Iterator[RenderableType]:
    event = trial.event
    who = event.participant_identity or f"room {event.room_name}"
    name = plain(repr(rule["name"]), "bold")
    if not trial.matches:
        yield Text.assemble(("no ", "bold red"), "rule ", name, plain(f" does not match {event.type} of {who}"))
        mismatch = trial.verdict.mismatch
        if mismatch is None:
            yield plain(f"   {trial.verdict.describe()}")
            return
        yield Text.assemble("   at ", plain(mismatch.path, "cyan"))
        yield Text.assemble("   expected ", plain(mismatch.expected))
        yield Text.assemble("   found ", plain(", ".join(mismatch.found) or "nothing", "bold"))
        return
    if trial.served:
        yield Text.assemble(("yes ", "bold green"), "rule ", name, plain(f" {_what(trial)} {who}"))
    else:
        yield Text.assemble(("no ", "bold red"), "rule ", name, plain(f" {trial.verdict.describe()}"))
    if not rule["enabled"]:
        yield plain("   but it is disabled", "yellow")
    if trial.failure:
        yield plain(f"   but {trial.failure}", "bold red")
        return
    if trial.metadata is None:
        return
    yield plain(f"   metadata: {trial.metadata}")
    if trial.attributes:
        yield plain(f"   attributes: {json.dumps(dict(trial.attributes), ensure_ascii=False)}")


def _what(trial: Trial) -> str:
    match trial.action:
        case RuleAction.DISPATCH:
            return f"sends {trial.goal} to"
        case RuleAction.IGNORE:
            return "ignores"
        case RuleAction.REMOVE:
            return "removes"
        case RuleAction.TRANSFER:
            return f"has the action {trial.goal!r} for"


def event_in_file(
    source: str, given: str | None, settings: Settings, known: Callable[[], Sequence[str]]
) -> Event | None:
    """Return the event in a file or standard input; None if `source` is not a file but may be the id of an event.

    It is of the project that is `given`, which must be one of the `known`; see `project_of_file`.
    """
    if source != "-" and not Path(source).exists() and not source.endswith((".json", ".txt")) and "/" not in source:
        if given is not None:
            message = "is for a webhook in a file: a stored event is of the project that sent it"
            raise InvalidInputError("usage", [Problem("--project", message, given)])
        return None
    project = project_of_file(given, known())
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        body = parse_storable_json(raw.decode("utf-8-sig"))
        if not isinstance(body, dict):
            raise _unusable(f"{source} is not a webhook body: not a JSON object")
        return build_event(
            body,
            project=project,
            source=EventSource.WEBHOOK,
            received_at=SystemClock().now(),
            event_id=new_id(),
            redact=settings.redact_of(project),
        )
    except OSError as error:
        raise _unusable(f"{source} cannot be read: {error.strerror or error}") from error
    except (JsonError, UnicodeDecodeError) as error:
        raise _unusable(f"{source} is not JSON: {error}") from error
    except UnreadableWebhookError as error:
        raise _unusable(f"{source} is not a webhook body: {error}") from error


def _unusable(message: str) -> InvalidInputError:
    return InvalidInputError("usage", [Problem("--event", message)])
