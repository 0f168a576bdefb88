"""`usher rules undo`: take back all changes of rules that were made together."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

import typer

from app.cli.framework.database import editor, reading, write
from app.cli.framework.options import ByOption, DryRunOption, JsonOption, WhyOption
from app.cli.framework.terminal import note, say, say_json
from app.cli.remote import rules as remote
from app.cli.remote.choice import editing_server, over_api
from app.rules.editing.difference import MISSING, ValueChange, describe_changes
from app.rules.editing.undo.undo_set import undo_set


@over_api
def undo(
    change_set: Annotated[str, typer.Argument(metavar="CHANGE_SET", help="a change set of `usher rules history`")],
    *,
    skip_changed: Annotated[
        bool, typer.Option("--skip-changed", help="leave what was changed again since, and undo the rest")
    ] = False,
    dry_run: DryRunOption = False,
    why: WhyOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo all changes of rules that were made together, such as by one `usher rules apply`.

    Refused if any of them was changed again since, unless --skip-changed is given: then the rest is undone.

    Exit 0: undone, or nothing is left to undo. 1: no such change set, or --dry-run without --skip-changed finds what
    was changed again. 2: refused because of that.
    """
    server = editing_server(by)
    if server is not None:
        document = remote.undo_set(server, change_set, skip_changed=skip_changed, dry_run=dry_run, why=why)
    elif dry_run:
        with reading() as connection:
            document = undo_set(connection, change_set, "", dry_run=True).to_json()
    else:
        unit = partial(undo_set, change_set=change_set, editor=editor(by), skip_changed=skip_changed, why=why)
        document = write(unit).to_json()
    _say(document, as_json=as_json)
    is_refused = dry_run and bool(document["conflicts"]) and not skip_changed
    if dry_run and not as_json and document["rules"]:
        rest = "the rest" if document["conflicts"] else "this"
        skipping = " --skip-changed" if document["conflicts"] else ""
        note(f"Nothing was changed. To undo {rest}: usher rules undo {change_set}{skipping}")
    if is_refused:
        raise typer.Exit(1)


def _say(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        shown = {name: value for name, value in document.items() if name != "written"}
        say_json({**shown, "dry_run": not document["written"]})
        return
    changed_since = "nothing to undo: all of it was changed again since"
    none = changed_since if document["conflicts"] else "nothing to undo: all of it is as it was before the change set"
    say(describe_changes([{**one, "name": one["rule"]} for one in document["rules"]], document["counts"], none))
    for conflict in document["conflicts"]:
        say(f"not undone: rule {conflict['rule']!r} {conflict['message']}", *map(_value, conflict["values"]))
    if document["not_undone"]:
        others = document["not_undone"]
        stays = "which stays as it is" if sum(others.values()) == 1 else "which stay as they are"
        note(f"The change set also changed {' and '.join(_counted(others.items()))}, {stays}.")
    if document["written"] and document["rules"]:
        say(f"the rules are at version {document['version']}")


def _value(value: dict[str, Any]) -> str:
    return f"    {ValueChange(value['path'], value.get('before', MISSING), value.get('after', MISSING))}"


def _counted(others: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{count} {key.removesuffix('s') if count == 1 else key}" for key, count in others]
