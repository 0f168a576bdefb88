"""Edits of many rules on a terminal: what changes, and the warnings that this adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.cli.framework.terminal import note, say, say_json
from app.cli.remote.rules import texts_of
from app.cli.rules.rules_file import MOST_WARNINGS, Warned, warn
from app.rules.editing.difference import describe_changes
from app.rules.editing.rule_set import RuleSetEdit

_TABLES = ("lookups", "agents")


def say_edit(edit: RuleSetEdit, *, as_json: bool, warned: Warned | None = None) -> None:
    """Print an edit of many rules; `warned` is part of its JSON."""
    say_document({**edit.to_json(), "written": edit.written}, as_json=as_json, warned=warned)


def say_document(document: Mapping[str, Any], *, as_json: bool, warned: Warned | None = None) -> None:
    """Print an edit of many rules as the API answers it."""
    if as_json:
        beside = ("written", "warnings")
        result = {**{name: value for name, value in document.items() if name not in beside},
                  "dry_run": not document["written"]}  # fmt: skip
        say_json(result if warned is None else {**result, "warnings": warned})
        return
    rules = [{**one, "name": one["rule"]} for one in document["rules"]]
    say(describe_changes(rules, document["counts"]))
    for key in _TABLES:
        if (edit := document[key]) is not None:
            say(f"{key}:", describe_changes(edit["changes"], edit["counts"], f"no {key}"))
    if document["written"] and _is_effective(document):
        say(*(f"the {key} are at version {version}" for key, version in _versions(document).items()))


def say_applied(document: Mapping[str, Any], file: str, *, delete: bool, as_json: bool) -> None:
    """Print what the API answered to a rules file, with the warnings of the rules that change."""
    changed = {one["rule"] for one in document["rules"]}
    warned: Warned = {}
    for one in document["warnings"]:
        if one["rule"] in changed:
            warned.setdefault(one["rule"], []).extend(texts_of([one]))
    say_document(document, as_json=as_json, warned=warned)
    if as_json:
        return
    warn(file, warned, most=MOST_WARNINGS)
    if _is_effective(document) and not document["written"]:
        note_dry_run(file, _versions(document), delete=delete)


def note_dry_run(file: str, versions: Mapping[str, int], *, delete: bool) -> None:
    """Print how to apply what was shown."""
    flags = [" --delete"] if delete else []
    flags += [f" --expect-{'' if key == 'rules' else f'{key}-'}version {version}" for key, version in versions.items()]
    note(f"Nothing was changed. To apply this: usher rules apply {file}{''.join(flags)}")


def _is_effective(document: Mapping[str, Any]) -> bool:
    return bool(document["rules"]) or any(document[key] is not None and document[key]["changes"] for key in _TABLES)


def _versions(document: Mapping[str, Any]) -> dict[str, int]:
    of_tables = {key: document[key]["version"] for key in _TABLES if document[key] is not None}
    return {"rules": document["version"], **of_tables}
