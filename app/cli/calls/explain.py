"""`usher explain`: why a caller got an agent, or none."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from app import audit
from app.cli.calls.call_view import explanation_view
from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import say_json, show
from app.errors import NotFoundError

_LISTED = 50
_NAMED = 5


def explain(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="an id, an identity or a phone number, or how one begins or ends; the latest call"
        ),
    ],
    *,
    whole: Annotated[bool, typer.Option("--all", help="show every rule, however many there are")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a call: every rule tried, which condition failed and what was found, and what happened next."""
    with reading() as connection:
        why = audit.explain(connection, _call_named(connection, reference))
    if as_json:
        say_json(why.to_json())
    else:
        show(*explanation_view(why, whole=whole))


def _call_named(connection: Connection, reference: str) -> str:
    """Return the reference, or the id of the only caller's latest call that it finds as `usher calls list` does.

    Raises NotFoundError with the callers if it finds several.
    """
    try:
        audit.find_event(connection, reference)
    except NotFoundError:
        found = audit.list_calls(connection, audit.CallFilter(q=reference.strip() or None), limit=_LISTED).items
        if not found or not reference.strip():
            raise
    else:
        return reference
    callers = list(dict.fromkeys(call.participant_identity for call in found))
    if len(callers) > 1:
        named = ", ".join(map(repr, callers[:_NAMED]))
        more = " and others" if len(callers) > _NAMED else ""
        raise NotFoundError(f"{reference!r} finds calls of {named}{more}; name one, or see usher calls list")
    return found[0].event_id
