"""`usher`: the commands and how they fail."""

from __future__ import annotations

import sys

import typer

from app.cli import demo, migrate, serve
from app.cli.terminal import complain
from app.errors import InvalidInputError, UsherError

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


def main() -> None:
    """Run the command line; exit 0 done, 1 the answer is "no", 2 wrong use."""
    try:
        app()
    except InvalidInputError as error:
        complain(f"{error.what}:", *(f"  {one}" for one in error.problems))
        sys.exit(2)
    except UsherError as error:
        complain(str(error))
        sys.exit(2)
