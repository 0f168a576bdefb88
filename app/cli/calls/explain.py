"""`usher explain`: why a caller got an agent, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from app import audit
from app.audit import CallFilter, CallHead, CallSteps, RulesTried
from app.cli.calls.call_view import explanation_view
from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import say_json, show
from app.cli.remote import calls as remote
from app.cli.remote.choice import chosen_server, over_api
from app.cli.remote.server import read_as
from app.errors import NotFoundError

_LISTED = 50
_NAMED = 5


@over_api
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
    chosen = CallFilter(q=reference.strip() or None)
    server = chosen_server()
    why: RulesTried
    steps: CallSteps
    if server is not None:
        try:
            document = remote.read_explanation(server, reference)
        except NotFoundError as error:
            found = remote.read_calls(server, chosen, _LISTED)
            document = remote.read_explanation(server, _only_call(reference, found, error))
        why, steps = read_as(RulesTried, document), read_as(CallSteps, document["timeline"])
    else:
        with reading() as connection:
            try:
                found_out = audit.explain(connection, reference)
            except NotFoundError as error:
                found = list(audit.list_calls(connection, chosen, limit=_LISTED).items)
                found_out = audit.explain(connection, _only_call(reference, found, error))
        document, why, steps = found_out.to_json(), found_out, found_out.timeline
    if as_json:
        say_json(document)
    else:
        show(*explanation_view(why, steps, whole=whole))


def _only_call(reference: str, found: Sequence[CallHead], unknown: NotFoundError) -> str:
    """Return the id of the latest of the calls that a reference finds as `usher calls list` does.

    Raises `unknown` if there are none, and NotFoundError with the callers if they are of several.
    """
    if not found or not reference.strip():
        raise unknown
    callers = list(dict.fromkeys(call.participant_identity for call in found))
    if len(callers) > 1:
        named = ", ".join(map(repr, callers[:_NAMED]))
        more = " and others" if len(callers) > _NAMED else ""
        raise NotFoundError(f"{reference!r} finds calls of {named}{more}; name one, or see usher calls list")
    return found[0].event_id
