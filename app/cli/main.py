"""`usher`: the commands, and the exit status of each error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from app.cli.framework.terminal import complain, quiet_pipe, say
from app.errors import InvalidInputError, NotFoundError, UsherError
from app.version import usher_version

COMMANDS = {
    "demo": "app.cli.demo:demo",
    "serve": "app.cli.serve:serve",
    "migrate": "app.cli.migrate:app",
    "rules": "app.cli.rules.rules:app",
    "simulate": "app.cli.rules.simulate:simulate_",
    "explain": "app.cli.calls.explain:explain",
    "events": "app.cli.calls.events:app",
    "dispatches": "app.cli.calls.dispatches:app",
    "trigger": "app.cli.trigger:trigger",
    "probe": "app.cli.probe:probe",
    "users": "app.cli.users:app",
    "people": "app.cli.people:app",
}
"""The module of each command, or group of commands; only the one that is asked for is imported."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the program with the command that the arguments name, else with all commands."""
    app = typer.Typer(name="usher", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

    @app.callback()
    def usher(
        _version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
        ] = False,
    ) -> None:
        """Dispatch agents to the callers of a LiveKit deployment."""

    # Importing all of them takes three times as long, most of it for the server and the simulator.
    for name in _wanted(arguments):
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _wanted(arguments: Sequence[str]) -> Iterable[str]:
    if arguments[:1] == ["--version"]:
        return ()
    return arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"usher {usher_version()}")
        raise typer.Exit


def main() -> None:
    """Run the command line; exit 0: done, 1: the answer is no, 2: wrong use or an error."""
    try:
        with quiet_pipe():
            build(sys.argv[1:])(prog_name="usher")
    except InvalidInputError as error:
        complain(f"{error.what}:", *(f"  {one}" for one in error.problems))
        sys.exit(2)
    except NotFoundError as error:
        complain(str(error))
        sys.exit(1)
    except UsherError as error:
        complain(str(error))
        sys.exit(2)
