"""Reads and writes rules files, in YAML or JSON; reading an exported file changes nothing.

    rules:
    - name: spanish support
      pattern: {participant: {metadata: {language: [es]}}}
      agent_name: support-es

Keys are the columns of `routing_rules`; what is left out has the database's default. Rules are identified by name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from app.errors import InvalidInputError, Problem, join_path, nearest
from app.rules.check import check_rule
from app.rules.columns import DEFAULTS, STAMPS, WRITABLE, complete, matching_order
from app.rules.editing.yaml_text import Block, ParsedText, parse_yaml, write_yaml
from app.strict_json import JsonError, parse_json

Format = Literal["yaml", "json"]

LARGEST_YAML: Final = 16 * 1024 * 1024
LARGEST_JSON: Final = 128 * 1024 * 1024
"""Bytes. JSON is read about twenty times as fast, so it may be larger: 100,000 rules have about 50 MB."""

MOST_PROBLEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class RulesFile:
    """The rules of a file in its order: each a row with every writable column, defaults filled in."""

    rules: tuple[dict[str, Any], ...]


def read_rules_file(source: Path | str, *, format_: Format | None = None) -> RulesFile:
    """Return the rules in a file (a `Path`) or in a text.

    Raises InvalidInputError with every problem of every rule; paths begin with `rules[n]`. The file's suffix
    decides between JSON and YAML, else the first character.
    """
    what, text, format_ = _load(source, format_)
    parsed = _parse_json(text) if format_ == "json" else parse_yaml(text)
    problems = list(parsed.problems)
    entries = _entries(parsed, problems)
    for place, entry in enumerate(entries):
        problems += _rule_problems(f"rules[{place}]", entry, parsed.lines)
        if len(problems) > MOST_PROBLEMS:
            break
    problems += _repeated_names(entries, parsed.lines)
    if problems:
        raise InvalidInputError(what, _once(problems)[:MOST_PROBLEMS])
    return RulesFile(tuple(complete(entry) for entry in entries))


def export_rules(rows: Iterable[Mapping[str, Any]], format_: Format = "yaml") -> str:
    """Return rules as the text of a rules file, in matching order, without what equals a default.

    The text depends on nothing but the rules: exporting twice gives the same bytes.
    """
    ordered = sorted(rows, key=matching_order)
    entries = [_without_defaults(row) for row in ordered]
    if format_ == "json":
        return json.dumps({"rules": entries}, indent=2, ensure_ascii=False) + "\n"
    if not entries:
        return "rules: []\n"
    return "rules:\n" + "\n".join(write_yaml(Block([entry])) for entry in entries)


def _without_defaults(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column: row[column]
        for column in WRITABLE
        if column in row and (column not in DEFAULTS or row[column] != DEFAULTS[column])
    }


def _load(source: Path | str, format_: Format | None) -> tuple[str, str, Format]:
    if isinstance(source, Path):
        what = str(source)
        if format_ is None and source.suffix.casefold() in {".json", ".yaml", ".yml"}:
            format_ = "json" if source.suffix.casefold() == ".json" else "yaml"
        try:
            size = source.stat().st_size
            content = source.read_bytes() if size <= LARGEST_JSON else b""
        except OSError as error:
            raise InvalidInputError(what, [Problem("", f"cannot be read: {error.strerror or error}")]) from error
    else:
        what, content = "rules", source.encode("utf-8", "surrogatepass")
        size = len(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(what, [Problem("", f"line {line}: is not UTF-8")]) from error
    if format_ is None:
        format_ = "json" if text.lstrip()[:1] in {"{", "["} else "yaml"
    largest = LARGEST_JSON if format_ == "json" else LARGEST_YAML
    if size > largest:
        message = f"has {size:,} bytes, at most {largest:,} are allowed"
        raise InvalidInputError(what, [Problem("", message)])
    return what, text, format_


class _Repeating(dict[str, Any]):
    """A JSON object in which keys were given twice."""

    repeated: list[str]


def _parse_json(text: str) -> ParsedText:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) == len(pairs):
            return built
        repeating = _Repeating(built)
        repeating.repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
        return repeating

    try:
        value = parse_json(text, make_object=build)
    except JsonError as error:
        place = f"line {error.line}, column {error.column}: " if error.line is not None else ""
        return ParsedText(problems=[Problem("", f"{place}is not JSON: {error.reason}")])
    return ParsedText(value, list(_repetitions("", value)))


def _repetitions(path: str, value: Any) -> Iterable[Problem]:
    if isinstance(value, dict):
        if isinstance(value, _Repeating):
            yield from (Problem(join_path(path, name), "is given twice") for name in value.repeated)
        for key, item in value.items():
            yield from _repetitions(join_path(path, key), item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _repetitions(f"{path}[{place}]", item)


def _entries(parsed: ParsedText, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the entries under `rules`, and add what is wrong around them to `problems`."""
    value = parsed.value
    if value is None and problems:
        return []
    if not isinstance(value, dict):
        problems.append(Problem("", "must have the key `rules`, with a list of rules"))
        return []
    for key in value:
        if key != "rules":
            message = "is not a known key; the only key at this level is `rules`"
            problems.append(Problem(key, message, found=key, suggestion=nearest(key, ["rules"])))
    if "rules" not in value:
        problems.append(Problem("rules", "is required: the list of rules"))
        return []
    rules = value["rules"]
    if not isinstance(rules, list):
        problems.append(Problem("rules", "must be a list; write `rules: []` for none"))
        return []
    problems += [
        Problem(f"rules[{place}]", f"must be an object with the columns of a rule, such as {', '.join(WRITABLE[:3])}")
        for place, rule in enumerate(rules)
        if not isinstance(rule, dict)
    ]
    # Keeps the indexes of the file.
    return [rule if isinstance(rule, dict) else _NO_RULE for rule in rules]


_NO_RULE: Final[dict[str, Any]] = {}


def _rule_problems(path: str, entry: dict[str, Any], lines: Mapping[str, int]) -> Iterable[Problem]:
    if entry is _NO_RULE:
        return
    for problem in check_rule(entry):
        yield _at_line(problem.below(path), lines)
    for column in ("id", *STAMPS):
        if column in entry:
            message = "is written by the database; rules are identified by name"
            yield _at_line(Problem(f"{path}.{column}", message, found=entry[column]), lines)


def _at_line(problem: Problem, lines: Mapping[str, int]) -> Problem:
    path = problem.path
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    if not path:
        return problem
    message = f"{problem.message} (line {lines[path]})"
    return Problem(problem.path, message, problem.found, problem.suggestion)


def _repeated_names(entries: list[dict[str, Any]], lines: Mapping[str, int]) -> Iterable[Problem]:
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        name = entry.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            message = f"is also the name of rules[{first[name]}]; names are unique"
            yield _at_line(Problem(f"rules[{place}].name", message, found=name), lines)
        first.setdefault(name, place)


def _once(problems: list[Problem]) -> list[Problem]:
    return list({(problem.path, problem.message): problem for problem in problems}.values())
