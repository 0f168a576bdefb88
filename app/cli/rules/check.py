"""`usher rules check`: whether a rules file can be applied."""

from __future__ import annotations

import typer

from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import say, say_json
from app.cli.rules.rules_file import MOST_JUDGED, RulesFileArgument, by_rule, counted, read_file, warn
from app.errors import InvalidInputError, Problem
from app.rules.book.rule_book import RuleBook
from app.rules.editing.rules_file import RulesFile
from app.rules.warnings.rule_warnings import warnings_by_name


def check(file: RulesFileArgument, *, as_json: JsonOption = False) -> None:
    """Check whether a rules file can be applied; prints one line for each mistake. Needs no database.

    Warns of rules that are probably not meant as written: that never match or are never reached.
    """
    problems: list[Problem] = []
    read = RulesFile(())
    try:
        read = read_file(file)
    except InvalidInputError as error:
        problems = error.problems
    rules = read.rules
    book = RuleBook.build([{**rule, "id": place} for place, rule in enumerate(rules)], 0)
    warned = by_rule(warnings_by_name(book, [rule["name"] for rule in rules[:MOST_JUDGED]]))
    if as_json:
        mistakes = [
            {"path": one.path, "message": one.message, "found": one.found, "suggestion": one.suggestion}
            for one in problems
        ]
        others = {key: None if rows is None else len(rows) for key, rows in read.tables.items()}
        result = {"file": file, "usable": not problems, "rules": len(rules), **others, "problems": mistakes}
        say_json({**result, "warnings": warned})
    elif problems:
        say(*(f"{file}: {' '.join(str(problem).splitlines())}" for problem in problems))
    else:
        say(f"{file}: {counted(read)}, no mistakes")
        warn(file, warned)
    if problems:
        raise typer.Exit(1)
