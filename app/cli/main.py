"""`usher`: the commands and how they fail."""

from __future__ import annotations

import sys

import click
import typer

from app.cli import migrate, serve
from app.cli.terminal import complain
from app.errors import InvalidInputError, UsherError

app = typer.Typer(
    name="usher",
    help="The dispatch desk of a LiveKit deployment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.add_typer(migrate.app, name="migrate")


def main() -> None:
    """Run the command line; exit 0 done, 1 the answer is "no", 2 wrong use."""
    try:
        code = app(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = 2
    except InvalidInputError as error:
        complain(f"{error.what}:", *(f"  {one}" for one in error.problems))
        code = 2
    except UsherError as error:
        complain(str(error))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
