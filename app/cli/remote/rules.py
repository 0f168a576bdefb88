"""Rules over the API: list, show, apply, revert, history, pause, simulate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from app.cli.remote.server import ANY_VERSION, Server, path_of, read_as
from app.errors import NotFoundError, Problem, did_you_mean
from app.rules.columns import WRITABLE
from app.rules.editing.file_tables import FILE_TABLES, RULES
from app.rules.editing.history import RuleChange
from app.rules.editing.rule_set import ExpectedVersions
from app.rules.editing.rules_file import RulesFile
from app.rules.simulation.simulate import Simulation

_LARGEST_PAGE = 200
_GROUP_DEFAULTS: Mapping[str, Any] = {"actions_before": (), "actions_after": ()}


class ListedRules(NamedTuple):
    """All rules in matching order: documents of the API, and the version of the rule book."""

    rules: list[dict[str, Any]]
    version: int


def list_rules(server: Server) -> ListedRules:
    """Return all rules, each with its problems and warnings as texts."""
    rules: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = server.get("/rules", {"limit": _LARGEST_PAGE, "cursor": cursor})
        rules += map(_with_texts, page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return ListedRules(rules, page["version"])


def find_rule(server: Server, name: str) -> dict[str, Any]:
    """Return the rule with a name, else with that id; NotFoundError that suggests similar names."""
    found = server.get("/rules", {"name": name})["items"]
    if found:
        return read_rule(server, found[0]["id"])
    if name.isascii() and name.isdecimal() and len(name) < 20:
        try:
            return read_rule(server, int(name))
        except NotFoundError:
            pass
    names = (str(rule["name"]) for rule in list_rules(server).rules)
    raise NotFoundError(f"no rule is named {name!r}{did_you_mean(name, names, 'usher rules list')}")


def read_rule(server: Server, rule_id: int) -> dict[str, Any]:
    """Return a rule with all its warnings; NotFoundError if there is none."""
    return _with_texts(server.get(path_of("rules", str(rule_id))))


def latest_change(server: Server, rule_id: int) -> RuleChange | None:
    """Return the latest change of a rule."""
    changes = server.history(path_of("rules", str(rule_id), "history"), RuleChange, 1)
    return changes[0] if changes else None


def history(server: Server, name: str | None, limit: int, before: int | None) -> list[RuleChange]:
    """Return the latest changes of all rules, or of those that have or had a name; NotFoundError if there is none."""
    return server.history("/rules/history", RuleChange, limit, before, {"name": name})


def change_rule(server: Server, name: str, columns: Mapping[str, Any], why: str | None) -> dict[str, Any]:
    """Change columns of a rule, and return it as the API does."""
    path = path_of("rules", str(find_rule(server, name)["id"]))
    changed: dict[str, Any] = server.send("PATCH", path, columns, {"why": why}, ANY_VERSION)
    return changed


def export_rules(server: Server) -> RulesFile:
    """Return all rules, lookups and agents."""
    document = server.get("/rules/export")
    found = {table: document[table.key] for table in FILE_TABLES if table.key in document}
    return RulesFile(**{table.key: tuple(map(table.complete, rows)) for table, rows in found.items()})


def apply_rules(
    server: Server, wanted: RulesFile, *, delete: bool, dry_run: bool, expected: ExpectedVersions, why: str | None
) -> dict[str, Any]:
    """Apply a rules file, and return the document of what changes."""
    order: dict[str, Any] = {"delete": delete, "dry_run": dry_run}
    for table in FILE_TABLES:
        rows = wanted.rules if table is RULES else wanted.tables[table.key]
        if rows is not None:
            order[table.key] = [table.without_defaults(row) for row in rows]  # a fifth of the bytes
    if not dry_run:
        versions = {
            "expected_version": expected.rules,
            "expected_lookups_version": expected.lookups,
            "expected_agents_version": expected.agents,
        }
        order |= {name: version for name, version in versions.items() if version is not None}
    answer: dict[str, Any] = server.send("POST", "/rules/apply", order, {"why": why})
    return answer


def revert_rules(server: Server, version: int, *, name: str | None, dry_run: bool, why: str | None) -> dict[str, Any]:
    """Restore rules as they were at a version, and return the document of what changes."""
    order = {"to_version": version, "name": name, "dry_run": dry_run}
    answer: dict[str, Any] = server.send("POST", "/rules/revert", order, {"why": why})
    return answer


def undo_set(server: Server, change_set: str, *, skip_changed: bool, dry_run: bool, why: str | None) -> dict[str, Any]:
    """Undo a change set, and return the document of what changes."""
    order = {"change_set": change_set, "skip_changed": skip_changed, "dry_run": dry_run}
    answer: dict[str, Any] = server.send("POST", "/rules/undo", order, {"why": why})
    return answer


def simulate(
    server: Server, rules: Sequence[Mapping[str, Any]], *, delete: bool, begin: datetime, now: datetime
) -> Simulation:
    """Return what a draft would have changed since `begin`."""
    order = {
        "rules": list(map(RULES.without_defaults, rules)),
        "delete": delete,
        "hours": (now - begin).total_seconds() / 3600,
    }
    answer = server.send("POST", "/simulate", order)
    groups = [{**_GROUP_DEFAULTS, **group} for group in answer["groups"]]
    return read_as(Simulation, {**answer, "groups": groups})


def texts_of(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return problems or warnings of a document as commands print them."""
    return [str(Problem(one["path"], one["message"], None, one["suggestion"])) for one in found]


def _with_texts(rule: dict[str, Any]) -> dict[str, Any]:
    columns = {name: rule[name] for name in ("id", *WRITABLE)}
    return {**columns, "problems": texts_of(rule["problems"]), "warnings": texts_of(rule["warnings"])}
