"""`usher explain`: why a caller got an agent, or none."""

from __future__ import annotations

from typing import Annotated

import typer

from app import audit
from app.cli.calls.call_view import explanation_view
from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import say_json, show


def explain(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="an event or dispatch id, an identity or a phone number (latest call)")
    ],
    *,
    whole: Annotated[bool, typer.Option("--all", help="show every rule, however many there are")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a call: every rule tried, which condition failed and what was found, and what happened next."""
    with reading() as connection:
        why = audit.explain(connection, reference)
    if as_json:
        say_json(why.to_json())
    else:
        show(*explanation_view(why, whole=whole))
