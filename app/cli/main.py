"""`usher`: the commands, and the exit status of each error."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer

from app.cli.framework.command_groups import GROUPS, Group
from app.cli.framework.flags import hide_flag_types
from app.cli.framework.terminal import complain, open_streams, quiet_pipe, say
from app.cli.remote.choice import ServerOption, TokenOption, keep_choice, local_only, works_over_api
from app.errors import InvalidInputError, NotFoundError, UsherError


class Entry(NamedTuple):
    """Where a command or a group of commands is, and its line in the list of commands."""

    place: str
    help: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "demo": Entry("app.cli.demo.demo:demo", "Run everything on this machine: a simulated LiveKit, a few callers."),
    "serve": Entry("app.cli.serve:serve", "Receive webhooks, dispatch agents, and check that they join."),
    "doctor": Entry("app.cli.diagnosis.doctor:doctor", "Try every part of an installation; say how to mend it."),
    "migrate": Entry("app.cli.migrate:app", "Upgrade, downgrade or check the database schema."),
    "backup": Entry("app.cli.backup:backup", "Copy the SQLite database into a file, also while it is served."),
    "restore": Entry("app.cli.backup:restore", "Put a backup in the place of the SQLite database."),
    "storage": Entry("app.cli.storage:storage", "What the database takes by table, and what retention costs."),
    "rules": Entry("app.cli.rules.rules:app", "The routing rules."),
    "lookups": Entry("app.cli.rules.lookups:app", "Questions to your own systems before rules are evaluated."),
    "agents": Entry("app.cli.rules.agents:app", "Agents: list, limit, take out of service, put back."),
    "simulate": Entry("app.cli.rules.simulate:simulate_", "Show what a draft of the rules would change for callers."),
    "explain": Entry("app.cli.calls.explain:explain", "Explain a call: every rule tried, and what happened next."),
    "events": Entry("app.cli.calls.events:app", "Events from webhooks and the sweep: list, show, export, replay."),
    "calls": Entry("app.cli.calls.calls:app", "Calls of participants: find, list, export."),
    "dispatches": Entry("app.cli.calls.dispatches:app", "Dispatches of agents: list, show, export, cancel, redrive."),
    "trigger": Entry("app.cli.trigger:trigger", "Make up a webhook, sign it, and post it to a running Usher."),
    "call": Entry("app.cli.diagnosis.trial_call:call", "Call for a test, and say which agent joins, after how long."),
    "probe": Entry("app.cli.probe:probe", "Dispatch agents into throw-away rooms and time their arrival."),
    "incidents": Entry("app.cli.incidents.incidents:app", "What is wrong now, and what was: list, mute, unmute."),
    "notifications": Entry("app.cli.incidents.notifications:app", "Who is notified of incidents: list, test."),
    "users": Entry("app.cli.users:app", "Users of the console, and their API tokens."),
    "people": Entry("app.cli.people:app", "What is stored about one person: export it, erase it."),
}


# Commands of a group that are imported without the rest of it, for which they would wait: editors and hooks run them.
ALONE: Final[Mapping[tuple[str, str], str]] = {
    ("rules", "check"): "app.cli.rules.check:check",
}

_WITH_VALUE: Final = frozenset({"--server", "--token"})


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the program with the command that the arguments name.

    Where they name none, the commands, or those of the group, have their help only: importing them takes a second, most
    of it for the database, the server and the simulator.
    """
    app = typer.Typer(name="usher", no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def usher(
        *,
        _version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
        ] = False,
        server: ServerOption = None,
        token: TokenOption = None,
    ) -> None:
        """Dispatch agents to the callers of a LiveKit deployment."""
        keep_choice(server, token)

    wanted, inner = _commands_of(arguments)
    if (wanted, inner) in ALONE:
        group = typer.Typer(help=COMMANDS[wanted].help)
        group.callback()(_nothing)  # without one, Typer takes a single command for the group
        group.command(inner)(_imported(ALONE[wanted, inner]))
        app.add_typer(group, name=wanted)
        return app
    if wanted in GROUPS and inner not in GROUPS[wanted].commands:
        app.add_typer(_names_of(GROUPS[wanted]), name=wanted)
        return app
    if wanted in COMMANDS:
        command = _imported(COMMANDS[wanted].place)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=wanted)
        else:
            app.command(wanted)(command if works_over_api(command) else local_only(command))
        return app
    for name, entry in COMMANDS.items():
        app.command(name, help=entry.help)(_not_loaded)
    return app


def _names_of(group: Group) -> typer.Typer:
    """Return a group whose commands can be listed, but not run."""
    made = typer.Typer(no_args_is_help=True, help=group.help)
    for name, text in group.commands.items():
        made.command(name, help=text)(_not_loaded)
    return made


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _commands_of(arguments: Sequence[str]) -> tuple[str, str]:
    """Return the first two arguments that are neither options nor values of one; "" for what is not there."""
    found: list[str] = []
    before = ""
    for argument in arguments:
        if not argument.startswith("-") and before not in _WITH_VALUE:
            found.append(argument)
        before = argument
    first, second, *_ = (*found, "", "")
    return first, second


def _nothing() -> None:
    pass


def _not_loaded() -> None:
    raise AssertionError("a command that the arguments do not name was called")


def _print_version(wanted: bool) -> None:
    if wanted:
        from app.version import usher_version  # noqa: PLC0415 - reads the metadata of the installed package

        say(f"usher {usher_version()}")
        raise typer.Exit


def _words() -> Sequence[str]:
    """Return the arguments of this process; for a shell that asks for completions, those typed so far."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    return typed.split()[1:] if typed and "_USHER_COMPLETE" in os.environ else sys.argv[1:]


def main() -> None:
    """Run the command line; exit 0: done, 1: the answer is no, 2: wrong use or an error."""
    open_streams()
    try:
        with quiet_pipe():
            program = typer.main.get_command(build(_words()))
            hide_flag_types(program)
            program(prog_name="usher")
    except InvalidInputError as error:
        complain(f"{error.what}:", *(f"  {one}" for one in error.problems))
        sys.exit(2)
    except NotFoundError as error:
        complain(str(error))
        sys.exit(1)
    except UsherError as error:
        complain(str(error))
        sys.exit(2)
