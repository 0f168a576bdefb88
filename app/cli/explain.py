"""`usher explain`: why somebody got the agent they got, or none."""

from __future__ import annotations

from typing import Annotated

import typer

from app import audit
from app.cli.database import reading
from app.cli.options import JsonOption
from app.cli.story import explanation_view
from app.cli.terminal import say_json, show


def explain(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="an event or dispatch id, an identity or a phone number (latest call)")
    ],
    *,
    whole: Annotated[bool, typer.Option("--all", help="every rule, however many")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say why: every rule tried, which condition failed and what was there, and what happened next."""
    with reading() as connection:
        why = audit.explain(connection, reference)
    if as_json:
        say_json(why.to_json())
    else:
        show(*explanation_view(why, whole=whole))
