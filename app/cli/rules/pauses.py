"""`usher rules pause` and `resume`: a rule that is not in force before a moment."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from app.cli.framework.database import editor, reading, shared_clock, write
from app.cli.framework.moment import ALLOWED_AHEAD, parse_ahead, show_moment
from app.cli.framework.options import ByOption, JsonOption, WhyOption
from app.cli.framework.terminal import say, say_json
from app.cli.remote import rules as remote
from app.cli.remote.choice import editing_server, over_api
from app.cli.rules.rules_file import find_rule
from app.db.types import format_instant
from app.errors import InvalidInputError, Problem
from app.rules.editing.edit_rule import change_rule
from app.rules.editing.stored_rules import StoredRule, read_rules

_Rule = Annotated[str, typer.Argument(metavar="RULE", help="the name of a rule, or its id")]


@over_api
def pause(
    name: _Rule,
    *,
    until: Annotated[str, typer.Option("--until", metavar="MOMENT", help=ALLOWED_AHEAD)],
    why: WhyOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pause a rule: it is not in force before the moment, and resumes by itself."""
    now = shared_clock().now()
    moment = parse_ahead(until, now, "--until")
    if moment <= now:
        raise InvalidInputError("usage", [Problem("--until", "must be a moment to come", until)])
    rule = _write(name, {"paused_until": format_instant(moment)}, why=why, by=by)
    if as_json:
        say_json(rule)
    else:
        say(f"rule {rule['name']!r} is paused until {show_moment(moment)}")


@over_api
def resume(name: _Rule, *, why: WhyOption = None, by: ByOption = None, as_json: JsonOption = False) -> None:
    """End the pause of a rule now."""
    rule = _write(name, {"paused_until": None}, why=why, by=by)
    if as_json:
        say_json(rule)
    else:
        say(f"rule {rule['name']!r} is not paused")


def _write(name: str, columns: dict[str, Any], *, why: str | None, by: str | None) -> dict[str, Any]:
    server = editing_server(by)
    if server is not None:
        changed = remote.change_rule(server, name, columns, why)
        return {column: changed[column] for column in changed if column not in {"problems", "warnings"}}
    with reading() as connection:
        rule_id = find_rule(read_rules(connection), name)["id"]

    def change(connection: Connection) -> StoredRule:
        return change_rule(connection, rule_id, columns, editor(by), None, whole=False, why=why)

    return write(change).to_json()
