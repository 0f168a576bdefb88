"""`usher rules`: list, check, export, apply and revert the routing rules."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.text import Text
from sqlalchemy import Connection

from app.cli.framework.database import editor, reading, write
from app.cli.framework.moment import show_moment
from app.cli.framework.options import ByOption, DryRunOption, JsonOption, LimitOption, OutputOption, WhyOption
from app.cli.framework.terminal import note, plain, say, say_json, show, table, write_lines
from app.cli.remote import rules as remote
from app.cli.remote.choice import chosen_server, editing_server, over_api
from app.cli.rules.check import check
from app.cli.rules.edit_view import note_dry_run, say_applied, say_document, say_edit
from app.cli.rules.pauses import pause, resume
from app.cli.rules.recent_traffic import recent_traffic
from app.cli.rules.rule_trial import try_
from app.cli.rules.rule_view import CHANGE_WORDS, change_words, rule_fields, rules_table
from app.cli.rules.rules_file import (
    MOST_WARNINGS,
    RulesFileArgument,
    Warned,
    by_rule,
    counted,
    find_rule,
    read_file,
    warn,
    warnings_of,
)
from app.cli.rules.undo import undo
from app.rules.book.read_book import follow, read_book
from app.rules.book.rule_book import RuleBook
from app.rules.editing.history import history
from app.rules.editing.rule_set import (
    ExpectedVersions,
    RuleSetEdit,
    apply_file,
    plan_rules,
    read_tables,
    revert_rules,
)
from app.rules.editing.stored_rules import read_rules
from app.rules.warnings.rule_warnings import saved_rule_warnings, warnings_by_name
from app.rules.warnings.unseen import Traffic

app = typer.Typer(help="The routing rules.", no_args_is_help=True)
app.command("test")(try_)
app.command()(check)
app.command()(pause)
app.command()(resume)
app.command()(undo)


@app.command("list")
@over_api
def list_(*, as_json: JsonOption = False) -> None:
    """List the rules in matching order."""
    server = chosen_server()
    if server is not None:
        rows, version = remote.list_rules(server)
        problems = {row["id"]: row["problems"] for row in rows if row["problems"]}
        warned = {row["id"]: row["warnings"] for row in rows if row["warnings"]}
    else:
        with reading() as connection:
            rows = read_rules(connection)
            book = read_book(connection)
        version = book.version
        problems = {rule_id: [str(problem) for problem in one.problems] for rule_id, one in book.bad.items()}
        warned = warnings_of(book)
    if as_json:
        say_json(
            [{**row, "problems": problems.get(row["id"], []), "warnings": warned.get(row["id"], [])} for row in rows]
        )
        return
    if not rows:
        say("No rules yet. Write a rules file and run: usher rules apply FILE")
        return
    show(rules_table(rows, problems, warned))
    unusable_text = f", {len(problems)} cannot be used" if problems else ""
    warnings_text = f", {len(warned)} with warnings" if warned else ""
    note(f"version {version} of the rules; {len(rows)} rules{unusable_text}{warnings_text}")


@app.command("show")
@over_api
def show_(
    name: Annotated[str, typer.Argument(metavar="RULE", help="the name of a rule, or its id")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show all columns of one rule, and its latest change."""
    server = chosen_server()
    if server is not None:
        row = remote.find_rule(server, name)
        problems, warned, latest_one = row["problems"], row["warnings"], remote.latest_change(server, row["id"])
        changes = [] if latest_one is None else [latest_one]
    else:
        with reading() as connection:
            row = find_rule(read_rules(connection), name)
            book = read_book(connection)
            changes = history(connection, row["name"], limit=1)
        bad, rule = book.bad.get(row["id"]), book.rule(row["id"])
        problems = [str(problem) for problem in bad.problems] if bad else []
        warned = [str(one) for one in saved_rule_warnings(book, rule, recent_traffic())] if rule else []
    if as_json:
        latest = changes[0].to_json() if changes else None
        say_json({**row, "problems": problems, "warnings": warned, "latest_change": latest})
        return
    for problem in problems:
        show(plain(f"cannot be used: {problem}", "bold red"))
    for warning in warned:
        show(plain(f"warning: {warning}", "yellow"))
    show(rule_fields(row))
    for change in changes:
        when = show_moment(change.changed_at)
        say(f"{CHANGE_WORDS[change.change]} by {change.changed_by}, {when} (version {change.id})")


@app.command()
@over_api
def export(
    *,
    format_: Annotated[Literal["yaml", "json"], typer.Option("--format", "-f", help="format of the file")] = "yaml",
    output: OutputOption = None,
) -> None:
    """Write all rules, lookups and agents as a rules file; to apply it again changes nothing.

    `lookups` and `agents` are left out if there are none.
    """
    server = chosen_server()
    if server is not None:
        found = remote.export_rules(server)
    else:
        with reading() as connection:
            found = read_tables(connection)
    write_lines([found.to_text(format_)], output)
    if output not in {None, "-"}:
        note(f"{counted(found)} written to {output}")


@app.command("apply")
@over_api
def apply_(
    file: RulesFileArgument,
    *,
    dry_run: DryRunOption = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="delete what is not in the file, under the keys that it has")
    ] = False,
    expect_version: Annotated[
        int | None,
        typer.Option(
            "--expect-version", min=0, help="refuse if the rules were edited after this version (see --dry-run)"
        ),
    ] = None,
    expect_lookups_version: Annotated[
        int | None, typer.Option("--expect-lookups-version", min=0, help="the same for the lookups")
    ] = None,
    expect_agents_version: Annotated[
        int | None, typer.Option("--expect-agents-version", min=0, help="the same for the agents")
    ] = None,
    why: WhyOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply a rules file in one transaction and show the difference; rules are identified by name.

    Lookups and agents are applied too if the file has the keys `lookups` and `agents`; without them they stay as they
    are, also with --delete.

    Warns of what this edit makes worse; what was there before is shown by `usher rules list`.
    """
    wanted = read_file(file)
    expected = ExpectedVersions(expect_version, expect_lookups_version, expect_agents_version)
    server = editing_server(by)
    if server is not None:
        document = remote.apply_rules(server, wanted, delete=delete, dry_run=dry_run, expected=expected, why=why)
        say_applied(document, file, delete=delete, as_json=as_json)
        return
    traffic = recent_traffic()
    if dry_run:
        with reading() as connection:
            before = after = read_book(connection)
            edit = apply_file(connection, wanted, delete=delete, editor="", expected=expected, dry_run=True)
        for key, version in edit.versions.items():
            if getattr(expected, key) not in {None, version}:
                note(f"The {key} are at version {version}, not {getattr(expected, key)}.")
    else:
        with reading() as connection:
            before, plan = read_book(connection), plan_rules(connection, wanted, delete=delete)
        author = editor(by)
        edit = write(
            lambda c: apply_file(c, wanted, delete=delete, editor=author, expected=expected, why=why, plan=plan)
        )
        with reading() as connection:
            after = follow(connection, before)
    # Not in the transaction: while it lasts, Usher on SQLite can store no webhook.
    warned = _made_worse(edit, before, after, traffic)
    say_edit(edit, as_json=as_json, warned=warned)
    if not as_json:
        warn(file, warned, most=MOST_WARNINGS)
    if dry_run and not as_json and edit.is_effective:
        note_dry_run(file, edit.versions, delete=delete)


@app.command("history")
@over_api
def history_(
    name: Annotated[
        str | None, typer.Argument(metavar="[RULE]", help="only of the rule that has or had this name")
    ] = None,
    *,
    before: Annotated[
        int | None, typer.Option("--before", min=1, max=2**63 - 1, help="only changes before this version")
    ] = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the changes of rules, newest first; the number is the version of the rules after the change."""
    server = chosen_server()
    if server is not None:
        changes = remote.history(server, name, limit, before)
    else:
        with reading() as connection:
            changes = history(connection, name, limit=limit, before_version=before)
    if as_json:
        say_json([change.to_json() for change in changes])
        return
    if not changes:
        say("No rule has ever been changed.")
        return
    rows = table("version", "when / by", "change", narrow=("version", "when / by"))
    for one in changes:
        who = Text(show_moment(one.changed_at)).append("\n").append_text(plain(one.changed_by[:40], "dim"))
        rows.add_row(str(one.id), who, change_words(one))
    show(rows)


def _made_worse(edit: RuleSetEdit, before: RuleBook, after: RuleBook, traffic: Traffic) -> Warned:
    """Return by rule the warnings of an edit that there were not in the book before it."""
    found = edit.warnings(after, traffic)
    known = by_rule(warnings_by_name(before, list({one.rule_name for one in found}), traffic))
    return by_rule([one for one in found if str(one) not in known.get(one.rule_name, ())])


@app.command("revert")
@over_api
def revert_(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=0, help="a version of `usher rules history`")],
    *,
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="only this rule, not all")] = None,
    dry_run: DryRunOption = False,
    why: WhyOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore all rules, or one, as they were at a version; the restoration is recorded as a change."""
    server = editing_server(by)
    if server is not None:
        document = remote.revert_rules(server, version, name=rule, dry_run=dry_run, why=why)
        say_document(document, as_json=as_json)
        _note_dry_run(dry_run=dry_run, as_json=as_json)
        return

    def change(connection: Connection) -> RuleSetEdit:
        author = "" if dry_run else editor(by)
        return revert_rules(connection, version, name=rule, editor=author, dry_run=dry_run, why=why)

    if dry_run:
        with reading() as connection:
            edit = change(connection)
    else:
        edit = write(change)
    say_edit(edit, as_json=as_json)
    _note_dry_run(dry_run=dry_run, as_json=as_json)


def _note_dry_run(*, dry_run: bool, as_json: bool) -> None:
    if dry_run and not as_json:
        note("Nothing was changed.")
