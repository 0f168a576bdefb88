"""`usher`: the commands and how they fail."""

from __future__ import annotations

import sys

import typer

from app.cli import (
    demo,
    dispatches,
    events,
    explain,
    migrate,
    probe,
    rule_trial,
    rules,
    serve,
    simulate,
    trigger,
    users,
)
from app.cli.terminal import complain, quiet_pipe
from app.errors import InvalidInputError, NotFoundError, UsherError

app = typer.Typer(
    name="usher",
    help="The dispatch desk of a LiveKit deployment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.add_typer(migrate.app, name="migrate")
app.add_typer(rules.app, name="rules")
rules.app.command("test")(rule_trial.try_)
app.command("simulate")(simulate.simulate_)
app.command("explain")(explain.explain)
app.add_typer(events.app, name="events")
app.add_typer(dispatches.app, name="dispatches")
app.command("trigger")(trigger.trigger)
app.command("probe")(probe.probe)
app.add_typer(users.app, name="users")


def main() -> None:
    """Run the command line; exit 0 done, 1 the answer is "no", 2 wrong use."""
    try:
        with quiet_pipe():
            app()
    except InvalidInputError as error:
        complain(f"{error.what}:", *(f"  {one}" for one in error.problems))
        sys.exit(2)
    except NotFoundError as error:
        complain(str(error))
        sys.exit(1)
    except UsherError as error:
        complain(str(error))
        sys.exit(2)
